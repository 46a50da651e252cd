/* SPDX-License-Identifier: MIT
**
** history.c: the simulated disk as it was after each call that changed it, as a Tcl command.
**
**   sdb_history start             forget what is there; from now on each changing call leaves a copy of the disk
**   sdb_history label TEXT        what the copies made from now on carry: what would be right after a power cut
**   sdb_history add               a copy now, after no call
**   sdb_history stop -> number    make no more; so many are there
**   sdb_history get I -> {kind file offset bytes label}
**   sdb_history restore I         the disk becomes that one, locks and open files gone
**   sdb_history seed N            what SQLite and the engine meet at random from now on (0: the system's)
**   sdb_history die N FILES       one of several members dies after its Nth changing call: it can make no more calls,
**                                 and what it does to memory that it shares with others (SQLite's, and these files)
**                                 is undone by ...
**   sdb_history dead -> 0 | 1     ... this, after its connection was closed; 0: it has not died
**   sdb_history watch SCRIPT      evaluated before each call of os.h and each access to shared memory, calls made by
**                                 the script aside; who sleeps meanwhile finds the time over.  {}: no more
**   sdb_history opens -> number   how often SQLite has opened a database file, ever
**   sdb_history clear
**
** THREADS: the interpreter's; the workload that is recorded runs in the same thread.
*/
#include <stdio.h>
#include <stdlib.h>
#include "disk/os_faults.h"
#include "disk/os_sim.h"
#include "disk/vfs_sim.h"
#include "lib/test_tcl.h"
#include "lib/testfixture.h"

typedef struct moment {
  sdb_sim_disk *disk;
  sdb_call call;
  Tcl_Obj *label;
} moment;

static moment *moments;
static size_t count, room;
static Tcl_Obj *label;

#define BOARDS_MAX  8
#define BOARD_BYTES 65536

static struct {
  char path[128];
  size_t bytes;
  unsigned char before[BOARD_BYTES];
} boards[BOARDS_MAX];
static size_t board_count;
static uint64_t calls_to_live; /* 0: nobody is going to die, or somebody has */
static bool recording, died;

static void die(void) {
  died = true;
  sdb_vfs_shared_save();
  for (size_t i = 0; i < board_count; i++) {
    boards[i].bytes = 0;
    (void)sdb_sim_peek(boards[i].path, 0, boards[i].before, BOARD_BYTES, &boards[i].bytes);
  }
  sdb_fault_stop_start(0);
}

static void add(const sdb_call *call) {
  if (count == room) {
    room = room ? 2 * room : 256;
    moments = realloc(moments, room * sizeof *moments);
    if (moments == NULL) abort();
  }
  moments[count++] = (moment){sdb_sim_clone(), *call, label};
  Tcl_IncrRefCount(label);
}

static void on_change(void *context, const sdb_call *call) {
  (void)context;
  if (recording) add(call);
  if (calls_to_live > 0 && --calls_to_live == 0) die();
}

static int history_die(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  Tcl_Obj **paths;
  int n;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &calls_to_live) != TCL_OK ||
      Tcl_ListObjGetElements(interp, argv[1], &n, &paths) != TCL_OK)
    return TCL_ERROR;
  died = false;
  board_count = (size_t)SDB_MIN(n, BOARDS_MAX);
  for (size_t i = 0; i < board_count; i++)
    snprintf(boards[i].path, sizeof boards[i].path, "%s", Tcl_GetString(paths[i]));
  sdb_fault_set_hook(on_change, NULL);
  return TCL_OK;
}

/* The bytes go where the mappings show them; a power cut gives every board a new beginning anyway. */
static int history_dead(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  calls_to_live = 0;
  sdb_fault_stop_end();
  if (!recording) sdb_fault_set_hook(NULL, NULL);
  if (died) {
    sdb_vfs_shared_restore();
    for (size_t i = 0; i < board_count; i++)
      (void)sdb_sim_poke(boards[i].path, 0, boards[i].before, boards[i].bytes);
  }
  Tcl_SetObjResult(interp, Tcl_NewIntObj(died));
  died = false;
  return TCL_OK;
}

static struct {
  Tcl_Interp *interp;
  Tcl_Obj *script; /* NULL: nobody watches */
  bool at_work;
  uint64_t slept_ms;
} watcher;

static void watch_point(void *context) {
  (void)context;
  if (watcher.at_work) return;
  watcher.at_work = true;
  Tcl_InterpState state = Tcl_SaveInterpState(watcher.interp, TCL_OK);
  if (Tcl_EvalObjEx(watcher.interp, watcher.script, TCL_EVAL_GLOBAL) != TCL_OK) Tcl_BackgroundError(watcher.interp);
  Tcl_RestoreInterpState(watcher.interp, state);
  watcher.at_work = false;
}

static void watch_sleep(void *context, uint64_t ms) {
  (void)context;
  watcher.slept_ms += ms;
}

static uint64_t watch_now_ms(void *context) {
  (void)context;
  return sdb_real_now_ms() + watcher.slept_ms;
}

static uint64_t watch_pid(void *context) {
  (void)context;
  return sdb_real_pid();
}

static int history_watch(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const sdb_fault_scheduler scheduler = {watch_point, watch_sleep, watch_now_ms, watch_pid, NULL};
  int bytes;
  (void)argc;
  sdb_fault_set_scheduler(NULL);
  if (watcher.script != NULL) Tcl_DecrRefCount(watcher.script);
  watcher.script = NULL;
  sdb_vfs_set_default(false);
  (void)Tcl_GetStringFromObj(argv[0], &bytes);
  if (bytes > 0) {
    watcher.interp = interp;
    watcher.script = argv[0];
    Tcl_IncrRefCount(watcher.script);
    sdb_vfs_set_default(true);
    sdb_fault_set_scheduler(&scheduler);
  }
  return TCL_OK;
}

static int history_clear(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)interp, (void)argc, (void)argv;
  for (size_t i = 0; i < count; i++) {
    sdb_sim_free(moments[i].disk);
    Tcl_DecrRefCount(moments[i].label);
  }
  free(moments);
  moments = NULL;
  count = room = 0;
  return TCL_OK;
}

static int history_label(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)interp, (void)argc;
  Tcl_Obj *copy = Tcl_DuplicateObj(argv[0]);
  Tcl_IncrRefCount(copy);
  if (label != NULL) Tcl_DecrRefCount(label);
  label = copy;
  return TCL_OK;
}

static int history_start(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  Tcl_Obj *empty = Tcl_NewObj();
  history_clear(interp, argc, argv);
  history_label(interp, 1, &empty);
  recording = true;
  sdb_fault_set_hook(on_change, NULL);
  return TCL_OK;
}

static int history_add(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const sdb_call none = {.kind = SDB_CALL_KINDS};
  (void)argc, (void)argv;
  if (label == NULL) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj("start first", -1));
    return TCL_ERROR;
  }
  add(&none);
  return TCL_OK;
}

static int history_stop(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  recording = false;
  sdb_fault_set_hook(NULL, NULL);
  Tcl_SetObjResult(interp, sdb_test_wide(count));
  return TCL_OK;
}

static moment *moment_of(Tcl_Interp *interp, Tcl_Obj *word) {
  uint64_t i = 0;
  if (sdb_test_u64(interp, word, &i) != TCL_OK) return NULL;
  if (i < count) return &moments[i];
  Tcl_SetObjResult(interp, Tcl_NewStringObj("no such moment", -1));
  return NULL;
}

static int history_get(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  const moment *m = moment_of(interp, argv[0]);
  (void)argc;
  if (m == NULL) return TCL_ERROR;
  const char *kind = sdb_call_name(m->call.kind);
  Tcl_Obj *words[] = {Tcl_NewStringObj(kind != NULL ? kind : "none", -1), Tcl_NewStringObj(m->call.file, -1),
                      sdb_test_wide(m->call.offset), sdb_test_wide(m->call.bytes), m->label};
  Tcl_SetObjResult(interp, Tcl_NewListObj(5, words));
  return TCL_OK;
}

static int history_restore(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  const moment *m = moment_of(interp, argv[0]);
  (void)argc;
  if (m == NULL) return TCL_ERROR;
  sdb_sim_restore(m->disk);
  return TCL_OK;
}

static int history_seed(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t seed;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &seed) != TCL_OK) return TCL_ERROR;
  if (!sdb_vfs_registered()) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj("load sqlite3_sdbtestvfs_init into a connection first", -1));
    return TCL_ERROR;
  }
  sdb_vfs_seed(seed);
  sdb_fault_set_random(seed);
  return TCL_OK;
}

static int history_opens(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  Tcl_SetObjResult(interp, sdb_test_wide(sdb_vfs_opens()));
  return TCL_OK;
}

static const sdb_test_sub subs[] = {{"add", 0, 0, NULL, history_add},
                                    {"clear", 0, 0, NULL, history_clear},
                                    {"dead", 0, 0, NULL, history_dead},
                                    {"die", 2, 2, "N files", history_die},
                                    {"get", 1, 1, "I", history_get},
                                    {"label", 1, 1, "text", history_label},
                                    {"opens", 0, 0, NULL, history_opens},
                                    {"restore", 1, 1, "I", history_restore},
                                    {"seed", 1, 1, "N", history_seed},
                                    {"start", 0, 0, NULL, history_start},
                                    {"stop", 0, 0, NULL, history_stop},
                                    {"watch", 1, 1, "script", history_watch},
                                    {NULL, 0, 0, NULL, NULL}};

int sdb_test_history_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_history", sdb_test_dispatch, (ClientData)(uintptr_t)subs, NULL);
  return TCL_OK;
}
