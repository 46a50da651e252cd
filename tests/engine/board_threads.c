/* SPDX-License-Identifier: MIT
**
** board_threads.c: members of one board in threads of one process, for ThreadSanitizer and for chance.
**
**   sdb_board_threads DIR READERS GENERATIONS -> {failed N torn N reused N read 0|1}
**
** Each thread is a member with a board of its own.  Two writers take turns: each publishes the next generation, and
** marks as reused what oldest() allows.  A reader pins what it knows, loads, raises its pin to that and holds it for a
** moment: what it holds must not be reused.  `torn`: states that were never published; `reused`: pins that were passed
** over.
*/
#include <pthread.h>
#include <stdatomic.h>
#include "board/board.h"
#include "engine/api.h"
#include "lib/testfixture.h"

#define READERS_MAX 16

typedef struct shared {
  const char *path;
  uint64_t generations;
  _Atomic uint64_t freed; /* all that was freed by up to this generation is used again */
  _Atomic uint64_t reads, torn, reused, failed;
  _Atomic bool over;
} shared;

static const sdb_board_patience patient = {UINT64_MAX, NULL, NULL};

static sdb_published state_of(uint64_t generation) {
  return (sdb_published){
      generation * 3 + 1, generation * 5, generation ^ 0x5555, generation, generation * 4096, generation * 7, 0};
}

static bool is_torn(const sdb_published *p) {
  sdb_published whole = state_of(p->generation);
  return p->salt != whole.salt || p->end != whole.end || p->last_checksum != whole.last_checksum ||
         p->data_bytes != whole.data_bytes;
}

static sdb_board *join(shared *all, sdb_fd *dir) {
  sdb_board *board = NULL;
  if (sdb_os_open_dir(all->path, dir) != 0) {
    return NULL;
  }
  const sdb_os_access anybody = {0};
  if (sdb_board_open(&board, *dir, all->path, &anybody, &patient, &sdb_unheard) != SEQDB_OK) {
    sdb_os_close(*dir);
    return NULL;
  }
  return board;
}

static void leave(sdb_board *board, sdb_fd dir) {
  (void)sdb_board_closing(board, &patient);
  sdb_board_leave(board);
  sdb_os_close(dir);
}

static void *write_on(void *context) {
  shared *all = context;
  sdb_published now;
  sdb_fd dir = -1;
  bool mend;
  sdb_board *board = join(all, &dir);
  if (board == NULL) {
    atomic_fetch_add(&all->failed, 1);
    return NULL;
  }
  for (now.generation = 0; now.generation < all->generations;) {
    if (sdb_board_writer_try(board, &mend, &sdb_unheard) != SEQDB_OK) {
      sdb_board_writer_rest(board, sdb_os_now_ms() + 5);
      continue;
    }
    if (sdb_board_load(board, &now, &sdb_unheard) != SEQDB_OK || is_torn(&now) || mend) {
      atomic_fetch_add(&all->torn, 1);
    }
    now = state_of(now.generation + 1);
    sdb_board_publish(board, &now);
    uint64_t oldest = sdb_board_oldest(board);
    if (oldest > atomic_load(&all->freed)) {
      atomic_store(&all->freed, oldest);
    }
    sdb_board_writer_release(board, true);
  }
  atomic_store(&all->over, true);
  leave(board, dir);
  return NULL;
}

static void *read_on(void *context) {
  shared *all = context;
  sdb_published now = {0};
  sdb_fd dir = -1;
  sdb_board *board = join(all, &dir);
  if (board == NULL) {
    atomic_fetch_add(&all->failed, 1);
    return NULL;
  }
  while (!atomic_load(&all->over)) {
    sdb_board_pin(board, now.generation, 1);
    if (sdb_board_load(board, &now, &sdb_unheard) != SEQDB_OK || is_torn(&now)) {
      atomic_fetch_add(&all->torn, 1);
    }
    sdb_board_pin(board, now.generation, 1);
    for (int i = 0; i < 20; i++) {
      if (atomic_load(&all->freed) > now.generation) {
        atomic_fetch_add(&all->reused, 1);
      }
    }
    sdb_board_unpin(board);
    if (atomic_fetch_add(&all->reads, 1) % 64 == 0) {
      const sdb_board_patience brief = {sdb_os_now_ms() + 2, NULL, NULL};
      (void)sdb_board_wait(board, now.generation + 1, &brief, &sdb_unheard);
    }
  }
  leave(board, dir);
  return NULL;
}

static int run(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const uint8_t uuid[SEQDB_UUID_BYTES];
  pthread_t writers[2], readers[READERS_MAX];
  seqdb_error error = SEQDB_ERROR_INIT;
  const sdb_op op = {"board", &error};
  uint64_t count;
  shared all = {0};
  sdb_fd dir = -1;
  (void)data;
  if (argc != 4 || sdb_test_u64(interp, argv[2], &count) != TCL_OK || count > READERS_MAX ||
      sdb_test_u64(interp, argv[3], &all.generations) != TCL_OK) {
    Tcl_WrongNumArgs(interp, 1, argv, "dir readers generations");
    return TCL_ERROR;
  }
  all.path = Tcl_GetString(argv[1]);
  sdb_board *first = join(&all, &dir);
  sdb_published begin = state_of(1);
  if (first == NULL || sdb_board_ready(first, uuid, &begin, true, &op) != SEQDB_OK) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj("no first member", -1));
    return TCL_ERROR;
  }
  for (size_t i = 0; i < count; i++) {
    pthread_create(&readers[i], NULL, read_on, &all);
  }
  for (size_t i = 0; i < 2; i++) {
    pthread_create(&writers[i], NULL, write_on, &all);
  }
  for (size_t i = 0; i < 2; i++) {
    pthread_join(writers[i], NULL);
  }
  for (size_t i = 0; i < count; i++) {
    pthread_join(readers[i], NULL);
  }
  leave(first, dir);
  Tcl_Obj *dict = Tcl_NewDictObj();
  sdb_api_put_u64(dict, "failed", all.failed);
  sdb_api_put_u64(dict, "torn", all.torn);
  sdb_api_put_u64(dict, "reused", all.reused);
  sdb_api_put(dict, "read", Tcl_NewIntObj(all.reads > 0));
  Tcl_SetObjResult(interp, dict);
  return TCL_OK;
}

int sdb_test_board_threads_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_board_threads", run, NULL, NULL);
  return TCL_OK;
}
