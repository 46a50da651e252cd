/* SPDX-License-Identifier: MIT
**
** board.c: the functions of core/board as subcommands of sdb_board.  A failure is a Tcl error with the record's
** message, as of sdb_api_result().
**
**   sdb_board open DIR CREATE MS ?STOPS? -> member   STOPS: the callback says stop when it is asked so often
**   sdb_board role M -> first|joins | ready M UUID STATE DURABLE | same M UUID | agree M MODE -> decided
**   sdb_board closing M MS -> last|not_last|given_up | leave M
**   sdb_board try M -> mend | rest M MS | release M CLEAN
**   sdb_board load M -> STATE | is_new M | publish M STATE | wait M GENERATION MS ?STOPS?
**   sdb_board pin M GENERATION | unpin M | pinned M | oldest M | pins M -> {pid generation own} ...
**   sdb_board get M applied|poisoned|mark|unproven|settled | set M WHAT VALUE...
**   sdb_board live DIR -> 0|1 | fork M SECONDS -> {what the child has of it: 0, 1 descriptor + 2 mapping} {its pid};
**                                                 M was left by its parent | reap PID: end the child
**   sdb_board publish_half M STATE: as a writer does it who is killed before the last store
** STATE: {salt end sum generation data_bytes}.
*/
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "board/board.h"
#include "engine/api.h"
#include "lib/testfixture.h"

#define MEMBERS_MAX 1100

static struct {
  sdb_board *board;
  sdb_fd dir;
  sdb_published mine;
} members[MEMBERS_MAX];

/* ---- words ---- */

typedef struct asker {
  uint64_t stops; /* asked so often, it says stop; 0: never */
} asker;

static bool stop(void *context) {
  asker *asks = context;
  return asks->stops != 0 && --asks->stops == 0;
}

static int get_patience(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[], asker *asks,
                        sdb_board_patience *patience) {
  uint64_t ms;
  if (sdb_test_u64(interp, argv[0], &ms) != TCL_OK) {
    return TCL_ERROR;
  }
  asks->stops = 0;
  *patience = (sdb_board_patience){sdb_os_now_ms() + ms, NULL, asks};
  if (argc > 1) {
    patience->stop = stop;
    return sdb_test_u64(interp, argv[1], &asks->stops);
  }
  return TCL_OK;
}

static int get_member(Tcl_Interp *interp, Tcl_Obj *word, size_t *member) {
  uint64_t number;
  if (sdb_test_u64(interp, word, &number) != TCL_OK) {
    return TCL_ERROR;
  }
  if (number >= MEMBERS_MAX || members[number].board == NULL) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj("no such member", -1));
    return TCL_ERROR;
  }
  *member = (size_t)number;
  return TCL_OK;
}

static int get_state(Tcl_Interp *interp, Tcl_Obj *word, sdb_published *state) {
  Tcl_Obj **parts;
  int count;
  uint64_t n[5];
  if (Tcl_ListObjGetElements(interp, word, &count, &parts) != TCL_OK) {
    return TCL_ERROR;
  }
  for (int i = 0; i < 5; i++) {
    if (i >= count || sdb_test_u64(interp, parts[i], &n[i]) != TCL_OK) {
      Tcl_SetObjResult(interp, Tcl_NewStringObj("a state has five numbers", -1));
      return TCL_ERROR;
    }
  }
  *state = (sdb_published){n[0], n[1], n[2], n[3], n[4], n[4] / 2, 0};
  return TCL_OK;
}

static void get_uuid(Tcl_Obj *word, uint8_t uuid[SEQDB_UUID_BYTES]) {
  const char *text = Tcl_GetString(word);
  memset(uuid, 0, SEQDB_UUID_BYTES);
  memcpy(uuid, text, SDB_MIN(strlen(text), (size_t)SEQDB_UUID_BYTES));
}

static int number_result(Tcl_Interp *interp, uint64_t value) {
  Tcl_SetObjResult(interp, sdb_test_wide(value));
  return TCL_OK;
}

static int word_result(Tcl_Interp *interp, const char *word) {
  Tcl_SetObjResult(interp, Tcl_NewStringObj(word, -1));
  return TCL_OK;
}

#define CALL(error) \
  { "board", (error) }

/* ---- opening and closing ---- */

static int run_open(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_error error = SEQDB_ERROR_INIT;
  const sdb_op op = CALL(&error);
  sdb_board_patience patience;
  asker asks;
  uint64_t create;
  size_t at = 0;
  while (at < MEMBERS_MAX && members[at].board != NULL) {
    at++;
  }
  if (sdb_test_u64(interp, argv[1], &create) != TCL_OK ||
      get_patience(interp, argc - 2, argv + 2, &asks, &patience) != TCL_OK) {
    return TCL_ERROR;
  }
  int os = at < MEMBERS_MAX ? sdb_os_open_dir(Tcl_GetString(argv[0]), &members[at].dir) : EMFILE;
  if (os != 0) {
    return sdb_test_errno(interp, os);
  }
  const sdb_os_access anybody = {0};
  int rc = sdb_board_open(&members[at].board, members[at].dir, Tcl_GetString(argv[0]), create ? &anybody : NULL,
                          &patience, &op);
  if (rc != SEQDB_OK) {
    sdb_os_close(members[at].dir);
    return sdb_api_result(interp, rc, &error);
  }
  return number_result(interp, at);
}

static int run_role(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK) {
    return TCL_ERROR;
  }
  return word_result(interp, sdb_board_role_of(members[m].board) == SDB_BOARD_FIRST ? "first" : "joins");
}

static int run_ready(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_error error = SEQDB_ERROR_INIT;
  const sdb_op op = CALL(&error);
  uint8_t uuid[SEQDB_UUID_BYTES];
  uint64_t durable;
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK || get_state(interp, argv[2], &members[m].mine) != TCL_OK ||
      sdb_test_u64(interp, argv[3], &durable) != TCL_OK) {
    return TCL_ERROR;
  }
  get_uuid(argv[1], uuid);
  return sdb_api_result(interp, sdb_board_ready(members[m].board, uuid, &members[m].mine, durable != 0, &op), &error);
}

static int run_same(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_error error = SEQDB_ERROR_INIT;
  const sdb_op op = CALL(&error);
  uint8_t uuid[SEQDB_UUID_BYTES];
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK) {
    return TCL_ERROR;
  }
  get_uuid(argv[1], uuid);
  return sdb_api_result(interp, sdb_board_same(members[m].board, uuid, &op), &error);
}

static int run_agree(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_error error = SEQDB_ERROR_INIT;
  const sdb_op op = CALL(&error);
  uint64_t mode;
  unsigned decided = 0;
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK || sdb_test_u64(interp, argv[1], &mode) != TCL_OK) {
    return TCL_ERROR;
  }
  int rc = sdb_board_agree(members[m].board, (unsigned)mode, &decided, &op);
  (void)number_result(interp, decided);
  return sdb_api_result(interp, rc, &error);
}

static int run_closing(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const words[] = {NULL, "last", "not_last", "given_up"};
  sdb_board_patience patience;
  asker asks;
  size_t m;
  if (get_member(interp, argv[0], &m) != TCL_OK ||
      get_patience(interp, argc - 1, argv + 1, &asks, &patience) != TCL_OK) {
    return TCL_ERROR;
  }
  return word_result(interp, words[sdb_board_closing(members[m].board, &patience)]);
}

static int run_leave(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_board_leave(members[m].board);
  sdb_os_close(members[m].dir);
  members[m].board = NULL;
  return TCL_OK;
}

/* ---- the writer lock ---- */

static int run_try(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_error error = SEQDB_ERROR_INIT;
  const sdb_op op = CALL(&error);
  bool mend = false;
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK) {
    return TCL_ERROR;
  }
  int rc = sdb_board_writer_try(members[m].board, &mend, &op);
  (void)number_result(interp, mend);
  return sdb_api_result(interp, rc, &error);
}

static int run_rest(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t ms;
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK || sdb_test_u64(interp, argv[1], &ms) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_board_writer_rest(members[m].board, sdb_os_now_ms() + ms);
  return TCL_OK;
}

static int run_release(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t clean;
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK || sdb_test_u64(interp, argv[1], &clean) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_board_writer_release(members[m].board, clean != 0);
  return TCL_OK;
}

/* ---- the published state ---- */

static int run_load(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_error error = SEQDB_ERROR_INIT;
  const sdb_op op = CALL(&error);
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_published *p = &members[m].mine;
  int rc = sdb_board_load(members[m].board, p, &op);
  if (rc == SEQDB_OK) {
    Tcl_Obj *words[] = {sdb_test_wide(p->salt), sdb_test_wide(p->end), sdb_test_wide(p->last_checksum),
                        sdb_test_wide(p->generation), sdb_test_wide(p->data_bytes)};
    Tcl_SetObjResult(interp, Tcl_NewListObj(5, words));
  }
  return sdb_api_result(interp, rc, &error);
}

static int run_is_new(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK) {
    return TCL_ERROR;
  }
  return number_result(interp, sdb_board_is_new(members[m].board, &members[m].mine));
}

static int run_publish(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK || get_state(interp, argv[1], &members[m].mine) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_board_publish(members[m].board, &members[m].mine);
  return TCL_OK;
}

static int run_publish_half(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_published state;
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK || get_state(interp, argv[1], &state) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_twin *twin = &members[m].board->file->published;
  uint64_t sequence = atomic_load(&twin->sequence);
  const uint64_t values[SDB_TWIN_WORDS] = {state.salt, state.end, state.last_checksum, state.generation};
  (void)sdb_twin_set(members[m].board, twin, values);
  atomic_store(&twin->sequence, sequence);
  return TCL_OK;
}

static int run_wait(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_error error = SEQDB_ERROR_INIT;
  const sdb_op op = CALL(&error);
  sdb_board_patience patience;
  asker asks;
  uint64_t generation;
  size_t m;
  if (get_member(interp, argv[0], &m) != TCL_OK || sdb_test_u64(interp, argv[1], &generation) != TCL_OK ||
      get_patience(interp, argc - 2, argv + 2, &asks, &patience) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_api_result(interp, sdb_board_wait(members[m].board, generation, &patience, &op), &error);
}

/* ---- pins and words ---- */

static int run_pin(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t generation;
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK || sdb_test_u64(interp, argv[1], &generation) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_board_pin(members[m].board, generation, sdb_os_now_ms());
  return TCL_OK;
}

static int run_unpin(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_board_unpin(members[m].board);
  return TCL_OK;
}

static int run_pinned(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  size_t m;
  (void)argc;
  return get_member(interp, argv[0], &m) != TCL_OK ? TCL_ERROR
                                                   : number_result(interp, sdb_board_pinned(members[m].board));
}

static int run_oldest(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  size_t m;
  (void)argc;
  return get_member(interp, argv[0], &m) != TCL_OK ? TCL_ERROR
                                                   : number_result(interp, sdb_board_oldest(members[m].board));
}

static bool add_pin(void *list, const sdb_board_pin_info *pin) {
  Tcl_Obj *words[] = {sdb_test_wide(pin->pid), sdb_test_wide(pin->generation), Tcl_NewIntObj(pin->own)};
  Tcl_ListObjAppendElement(NULL, list, Tcl_NewListObj(3, words));
  return pin->since_ms > sdb_os_now_ms(); /* a pin of the future ends the list, and the test sees that */
}

static int run_pins(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK) {
    return TCL_ERROR;
  }
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  sdb_board_each_pin(members[m].board, add_pin, list);
  Tcl_SetObjResult(interp, list);
  return TCL_OK;
}

static int run_get(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const names[] = {"applied", "poisoned", "mark", "unproven", "settled", NULL};
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint64_t generation = 0;
  int index;
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK ||
      Tcl_GetIndexFromObj(interp, argv[1], names, "word", TCL_EXACT, &index) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_board *board = members[m].board;
  switch (index) {
    case 0:
      return number_result(interp, sdb_board_applied(board));
    case 1:
      return number_result(interp, sdb_board_poisoned(board));
    case 2:
      return number_result(interp, sdb_board_mark(board));
    case 3:
      return number_result(interp, sdb_board_unproven(board));
    default:
      if (!sdb_board_settled(board, &generation, token)) {
        return word_result(interp, "nothing");
      }
      Tcl_SetObjResult(interp, Tcl_ObjPrintf("%d %.16s", (int)generation, (const char *)token));
      return TCL_OK;
  }
}

static int run_set(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const names[] = {"applied", "poisoned", "mark", "unproven", "settled", NULL};
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint64_t value;
  int index;
  size_t m;
  if (get_member(interp, argv[0], &m) != TCL_OK || sdb_test_u64(interp, argv[2], &value) != TCL_OK ||
      Tcl_GetIndexFromObj(interp, argv[1], names, "word", TCL_EXACT, &index) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_board *board = members[m].board;
  switch (index) {
    case 0:
      sdb_board_set_applied(board, value);
      break;
    case 1:
      sdb_board_poison(board);
      break;
    case 2:
      sdb_board_set_mark(board, value != 0);
      break;
    case 3:
      sdb_board_raise_unproven(board, value);
      break;
    default:
      get_uuid(argv[argc - 1], token);
      sdb_board_settle(board, value, token);
  }
  return TCL_OK;
}

/* ---- without being a member ---- */

static int run_live(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_error error = SEQDB_ERROR_INIT;
  const sdb_op op = CALL(&error);
  bool live = false;
  sdb_fd dir = -1;
  (void)argc;
  int os = sdb_os_open_dir(Tcl_GetString(argv[0]), &dir);
  if (os != 0) {
    return sdb_test_errno(interp, os);
  }
  int rc = sdb_board_is_live(dir, Tcl_GetString(argv[0]), &live, &op);
  sdb_os_close(dir);
  (void)number_result(interp, live);
  return sdb_api_result(interp, rc, &error);
}

/* The child says what it has of the board, then lives on for a while; its parent leaves the board at once. */
static int run_fork(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t seconds;
  int ends[2];
  size_t m;
  (void)argc;
  if (get_member(interp, argv[0], &m) != TCL_OK || sdb_test_u64(interp, argv[1], &seconds) != TCL_OK) {
    return TCL_ERROR;
  }
  if (pipe(ends) != 0) {
    return sdb_test_errno(interp, errno);
  }
  pid_t child = fork();
  if (child == 0) {
    sdb_board *board = members[m].board;
    const char said = (char)('0' + (board->fd >= 0) + 2 * (atomic_load(&board->file->magic) != 0));
    sdb_board_leave(board);
    if (write(ends[1], &said, 1) != 1) {
      _exit(1);
    }
    sleep((unsigned)seconds);
    _exit(0);
  }
  char said = '?';
  (void)(read(ends[0], &said, 1) == 1);
  close(ends[0]);
  close(ends[1]);
  sdb_board_leave(members[m].board);
  sdb_os_close(members[m].dir);
  members[m].board = NULL;
  Tcl_Obj *words[] = {Tcl_NewStringObj(&said, 1), Tcl_NewIntObj(child)};
  Tcl_SetObjResult(interp, Tcl_NewListObj(2, words));
  return TCL_OK;
}

static int run_reap(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t child;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &child) != TCL_OK) {
    return TCL_ERROR;
  }
  kill((pid_t)child, SIGKILL);
  waitpid((pid_t)child, NULL, 0);
  return TCL_OK;
}

static const sdb_test_sub subs[] = {{"agree", 2, 2, "member mode", run_agree},
                                    {"closing", 2, 3, "member ms ?stops?", run_closing},
                                    {"fork", 2, 2, "member seconds", run_fork},
                                    {"get", 2, 2, "member word", run_get},
                                    {"is_new", 1, 1, "member", run_is_new},
                                    {"leave", 1, 1, "member", run_leave},
                                    {"live", 1, 1, "dir", run_live},
                                    {"load", 1, 1, "member", run_load},
                                    {"oldest", 1, 1, "member", run_oldest},
                                    {"open", 3, 4, "dir create ms ?stops?", run_open},
                                    {"pin", 2, 2, "member generation", run_pin},
                                    {"pinned", 1, 1, "member", run_pinned},
                                    {"pins", 1, 1, "member", run_pins},
                                    {"publish", 2, 2, "member state", run_publish},
                                    {"publish_half", 2, 2, "member state", run_publish_half},
                                    {"ready", 4, 4, "member uuid state durable", run_ready},
                                    {"reap", 1, 1, "child", run_reap},
                                    {"release", 2, 2, "member clean", run_release},
                                    {"rest", 2, 2, "member ms", run_rest},
                                    {"role", 1, 1, "member", run_role},
                                    {"same", 2, 2, "member uuid", run_same},
                                    {"set", 3, 4, "member word value ?token?", run_set},
                                    {"try", 1, 1, "member", run_try},
                                    {"unpin", 1, 1, "member", run_unpin},
                                    {"wait", 3, 4, "member generation ms ?stops?", run_wait},
                                    {NULL, 0, 0, NULL, NULL}};

int sdb_test_board_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_board", sdb_test_dispatch, (ClientData)(uintptr_t)subs, NULL);
  return sdb_test_board_threads_init(interp);
}
