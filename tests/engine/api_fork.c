/* SPDX-License-Identifier: MIT
**
** api_fork.c: what a forked child is told by the C interface.
**
**   sdb_fork HANDLE REGION ?DIRECTORY?   -> {call code ...}: by each call, and by opening DIRECTORY.  As the child is
**                                        made, another thread holds every mutex of the handle and its store
**   sdb_fork_in_open DIRECTORY OTHER     -> {call code}: by opening OTHER.  The child is made while its parent is
**                                        opening DIRECTORY, which is new
**
** A child that waits for a mutex is ended by SIGALRM.
** THREADS: the interpreter's, and one that holds the mutexes.
*/
#include "engine/api.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "disk/os_faults.h"
#include "lib/testfixture.h"
#include "txn/handle.h"

#define PATIENCE_SECONDS 30

#ifdef SDB_COVERAGE
void __gcov_dump(void);
#endif

/* ---- the child ---- */

static void tell(FILE *out, const char *call, int rc) {
  fprintf(out, "{%s} %s ", call, sdb_api_code_name(rc));
}

static FILE *child_begin(const int ends[2]) {
  alarm(PATIENCE_SECONDS);
  return fdopen(ends[1], "w");
}

static void child_end(FILE *out) {
  fclose(out);
#ifdef SDB_COVERAGE
  __gcov_dump(); /* _exit does not */
#endif
  _exit(0);
}

static void child_changes(seqdb *db, seqdb_region region, uint64_t *number, FILE *out) {
  static const char *const names[] = {"a"};
  static const size_t name_bytes[] = {1};
  seqdb_region other;
  tell(out, "create", seqdb_find_or_create(db, "child", 5, &other, NULL));
  tell(out, "append", seqdb_append(db, region, "x", 1, number));
  tell(out, "write", seqdb_write(db, region, 0, "x", 1));
  tell(out, "truncate", seqdb_truncate(db, region, 0));
  tell(out, "rename", seqdb_rename(db, region, "n", 1));
  tell(out, "truncate_write", seqdb_truncate_write(db, region, 0, "x", 1));
  tell(out, "set_length", seqdb_set_length(db, region, 10));
  tell(out, "reserve", seqdb_reserve(db, region, 10, number));
  tell(out, "retain", seqdb_retain(db, names, name_bytes, 1, number));
  tell(out, "remove", seqdb_remove(db, region));
  tell(out, "has_changes", seqdb_has_changes(db));
  tell(out, "region_changed", seqdb_region_changed(db, region));
  tell(out, "flush", seqdb_flush(db, number));
  tell(out, "rollback", seqdb_rollback(db));
  tell(out, "savepoint", seqdb_savepoint(db, 0));
  tell(out, "release", seqdb_release(db, 0));
  tell(out, "rollback_to", seqdb_rollback_to(db, 0));
  tell(out, "prepare", seqdb_prepare(db, NULL, number));
  seqdb_publish(db);
}

static void child_reads(seqdb_view *view, seqdb_region region, uint64_t *number, FILE *out) {
  seqdb_region other;
  seqdb_region_info info;
  const void *address;
  size_t got;
  char byte;
  tell(out, "totals", seqdb_view_totals(view, number, number));
  tell(out, "find", seqdb_find(view, "a", 1, &other));
  tell(out, "info", seqdb_get_info(view, region, &info));
  tell(out, "iterate", seqdb_iterate(view, 0, &info));
  tell(out, "iterate_many", seqdb_iterate_many(view, 0, &info, 1, &got));
  tell(out, "read", seqdb_read(view, region, 0, 1, &address));
  tell(out, "read_copy", seqdb_read_copy(view, region, 0, &byte, 1, &got));
  tell(out, "read_named", seqdb_read_named(view, "a", 1, 0, &byte, 1, &got));
}

static void child_upkeep(seqdb *db, uint64_t *number, FILE *out) {
  seqdb_snapshot *snapshot = NULL;
  seqdb_stat_info stat = SEQDB_STAT_INIT;
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb_layout_row *rows = NULL;
  seqdb_compact_step_info step;
  size_t count;
  uint64_t cursor = 0;
  tell(out, "snapshot", seqdb_snapshot_open(db, &snapshot));
  tell(out, "compact", seqdb_compact(db, number));
  tell(out, "compact_step", seqdb_compact_step(db, &cursor, &step));
  tell(out, "layout", seqdb_layout(db, &rows, &count));
  tell(out, "checkpoint", seqdb_checkpoint(db));
  tell(out, "check", seqdb_check(db, NULL, NULL, number));
  tell(out, "stat", seqdb_stat(db, &stat));
  tell(out, "same_directory", seqdb_same_directory(db, "/"));
  tell(out, "last error", seqdb_get_error(db, &error) == SEQDB_OK ? error.code : SEQDB_OK);
  tell(out, "readonly", seqdb_is_readonly(db, &error) == 1 ? error.code : SEQDB_OK);
  tell(out, "errmsg", strstr(seqdb_errmsg(db), "fork()") ? SEQDB_MISUSE : SEQDB_OK);
}

/* Only what a program may do between fork and _exit with a library that promises to answer MISUSE. */
static void child_calls(seqdb *db, seqdb_snapshot *pinned, seqdb_region region, FILE *out) {
  uint64_t number = 77;
  child_changes(db, region, &number, out);
  child_reads(seqdb_snapshot_view(pinned), region, &number, out);
  child_reads(seqdb_own_view(db), region, &number, out);
  child_upkeep(db, &number, out);
  tell(out, "what was written", number == 77 ? SEQDB_MISUSE : SEQDB_OK);
  seqdb_snapshot_close(pinned);
  seqdb_close(db);
}

/* ---- its parent ---- */

/* What the child has told. */
static int hear(Tcl_Interp *interp, pid_t child, const int ends[2]) {
  char text[4000];
  size_t bytes = 0;
  ssize_t got;
  int status = 0;
  close(ends[1]);
  while (bytes < sizeof text && (got = read(ends[0], text + bytes, sizeof text - bytes)) > 0)
    bytes += (size_t)got;
  close(ends[0]);
  waitpid(child, &status, 0);
  if (status != 0) {
    Tcl_SetObjResult(interp, Tcl_ObjPrintf("the child ended with status %d", status));
    return TCL_ERROR;
  }
  Tcl_SetObjResult(interp, Tcl_NewStringObj(text, (int)bytes));
  return TCL_OK;
}

/* Holds every mutex of a handle until it is told to let go. */
struct holder {
  seqdb *db;
  pthread_t thread;
  pthread_barrier_t held, enough;
};

static void *hold(void *context) {
  struct holder *h = context;
  sdb_store *store = h->db->store;
  pthread_mutex_t *const all[] = {&h->db->txn_mutex, &store->files_mutex, &store->mutex, &h->db->error_mutex};
  const size_t count = sizeof all / sizeof all[0];
  for (size_t i = 0; i < count; i++)
    pthread_mutex_lock(all[i]);
  pthread_barrier_wait(&h->held);
  pthread_barrier_wait(&h->enough);
  for (size_t i = count; i > 0; i--)
    pthread_mutex_unlock(all[i - 1]);
  return NULL;
}

static bool hold_begin(struct holder *h, seqdb *db) {
  h->db = db;
  pthread_barrier_init(&h->held, NULL, 2);
  pthread_barrier_init(&h->enough, NULL, 2);
  if (pthread_create(&h->thread, NULL, hold, h) != 0) return false;
  pthread_barrier_wait(&h->held);
  return true;
}

static void hold_end(struct holder *h) {
  pthread_barrier_wait(&h->enough);
  pthread_join(h->thread, NULL);
  pthread_barrier_destroy(&h->held);
  pthread_barrier_destroy(&h->enough);
}

static int fork_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_region region;
  seqdb_snapshot *pinned;
  struct holder holder;
  int ends[2];
  (void)data;
  sdb_api_db *at = argc == 3 || argc == 4 ? sdb_api_handle(interp, argv[1]) : NULL;
  if (at == NULL || sdb_api_region(interp, at->db, seqdb_own_view(at->db), argv[2], &region) != TCL_OK ||
      seqdb_snapshot_open(at->db, &pinned) != SEQDB_OK || pipe(ends) != 0 || !hold_begin(&holder, at->db)) {
    return TCL_ERROR;
  }
  pid_t child = fork();
  if (child == 0) {
    FILE *out = child_begin(ends);
    child_calls(at->db, pinned, region, out);
    if (argc == 4) { /* the child has a registry of its own, and its parent has the lock */
      seqdb *db = NULL;
      tell(out, "open", seqdb_open(Tcl_GetString(argv[3]), NULL, NULL, &db));
    }
    child_end(out);
  }
  hold_end(&holder);
  seqdb_snapshot_close(pinned);
  return hear(interp, child, ends);
}

/* ---- a fork in the middle of open ---- */

struct opening {
  const char *other;
  int ends[2];
  pid_t child; /* 0: not yet made */
};

static void fork_once(void *context, const sdb_call *call) {
  static const seqdb_options options = {.size_bytes = sizeof options, .flags = SEQDB_OPEN_CREATE};
  struct opening *o = context;
  (void)call;
  if (o->child || (o->child = fork()) != 0) return;
  o->child = getpid();
  FILE *out = child_begin(o->ends);
  seqdb *db = NULL;
  tell(out, "open", seqdb_open(o->other, &options, NULL, &db));
  seqdb_close(db);
  child_end(out);
}

static int fork_in_open_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_options options = {.size_bytes = sizeof options, .flags = SEQDB_OPEN_CREATE};
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *db = NULL;
  struct opening o = {0};
  (void)data;
  if (argc != 3) {
    Tcl_WrongNumArgs(interp, 1, argv, "directory other");
    return TCL_ERROR;
  }
  o.other = Tcl_GetString(argv[2]);
  if (pipe(o.ends) != 0) return TCL_ERROR;
  sdb_fault_set_hook(fork_once, &o);
  int rc = seqdb_open(Tcl_GetString(argv[1]), &options, &error, &db);
  sdb_fault_set_hook(NULL, NULL);
  seqdb_close(db);
  int code = hear(interp, o.child, o.ends);
  return rc == SEQDB_OK ? code : sdb_api_result(interp, rc, &error);
}

int sdb_test_api_fork_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_fork", fork_command, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_fork_in_open", fork_in_open_command, NULL, NULL);
  return TCL_OK;
}
