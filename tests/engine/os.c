/* SPDX-License-Identifier: MIT
**
** os.c: the functions of os.h as subcommands of sdb_os.  A failure is a Tcl error whose message is the errno's name.
**
**   sdb_os open_dir PATH -> fd | make_dir PATH | sync_dir FD | sync_parent PATH | dir_info FD
**   sdb_os open DIR NAME ?write? ?create? ?excl? -> fd | close FD | rename DIR FROM TO | unlink DIR NAME
**   sdb_os remove_dir DIR NAME | rename_new DIR FROM TO
**   sdb_os info FD -> {size N disk N device N inode N}
**   sdb_os pread FD BYTES OFFSET | pwrite FD DATA OFFSET | fill FD BYTE COUNT OFFSET | fdatasync FD | fsync FD
**   sdb_os truncate FD BYTES | punch FD OFFSET BYTES | next_data FD OFFSET END -> {data end}
**   sdb_os lock FD shared|exclusive | unlock FD | dense FD
**   sdb_os lock_byte FD AT shared|exclusive | unlock_byte FD AT | unlock_all_bytes FD | byte_is_locked FD AT -> 0|1
**   sdb_os shared FD BYTES -> what a word wait saw, in order: see run_shared() | file_system FD -> {remote read_only}
**   sdb_os pid | boot -> 0 if it is unknown, else 1
**   sdb_os map FD OFFSET BYTES -> map | mapped MAP OFFSET BYTES -> the bytes | populate MAP | unmap MAP | window
**   sdb_os random COUNT | now_ms | fork_count | fork_count_in_child | memory BYTES -> 1 if there was some
*/
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "os/os.h"
#include "lib/test_tcl.h"
#include "lib/testfixture.h"

#define MAPS_MAX 16

typedef struct test_map {
  const uint8_t *address;
  uint64_t bytes;
} test_map;

static test_map maps[MAPS_MAX];

static int int_result(Tcl_Interp *interp, uint64_t value, int error) {
  Tcl_SetObjResult(interp, sdb_test_wide(value));
  return sdb_test_errno(interp, error);
}

static int get_numbers(Tcl_Interp *interp, int count, Tcl_Obj *const words[], uint64_t *values) {
  for (int i = 0; i < count; i++) {
    if (sdb_test_u64(interp, words[i], &values[i]) != TCL_OK) {
      return TCL_ERROR;
    }
  }
  return TCL_OK;
}

/* ---- directories and names --------------------------------------------------------------------------------- */

static int run_open_dir(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_fd dir = -1;
  (void)argc;
  int error = sdb_os_open_dir(Tcl_GetString(argv[0]), &dir);
  return int_result(interp, (uint64_t)dir, error);
}

static int run_make_dir(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return sdb_test_errno(interp, sdb_os_make_dir(Tcl_GetString(argv[0]), false));
}

static int run_sync_parent(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return sdb_test_errno(interp, sdb_os_sync_parent(Tcl_GetString(argv[0])));
}

static int run_open(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const words[] = {"write", "create", "excl", NULL};
  static const unsigned bits[] = {SDB_OPEN_WRITE, SDB_OPEN_CREATE, SDB_OPEN_EXCL};
  uint64_t dir;
  unsigned flags = 0;
  sdb_fd file = -1;
  if (sdb_test_u64(interp, argv[0], &dir) != TCL_OK) {
    return TCL_ERROR;
  }
  for (int i = 2; i < argc; i++) {
    int index;
    if (Tcl_GetIndexFromObj(interp, argv[i], words, "flag", TCL_EXACT, &index) != TCL_OK) {
      return TCL_ERROR;
    }
    flags |= bits[index];
  }
  int error = sdb_os_open((sdb_fd)dir, Tcl_GetString(argv[1]), flags, &file);
  return int_result(interp, (uint64_t)file, error);
}

static int run_rename(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t dir;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &dir) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_os_rename((sdb_fd)dir, Tcl_GetString(argv[1]), Tcl_GetString(argv[2])));
}

static int run_rename_new(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t dir;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &dir) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_os_rename_new((sdb_fd)dir, Tcl_GetString(argv[1]), Tcl_GetString(argv[2])));
}

static int run_unlink(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t dir;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &dir) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_os_unlink((sdb_fd)dir, Tcl_GetString(argv[1])));
}

static int run_remove_dir(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t dir;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &dir) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_os_remove_dir((sdb_fd)dir, Tcl_GetString(argv[1])));
}

/* ---- calls with a handle alone ----------------------------------------------------------------------------- */

static int with_fd(Tcl_Interp *interp, Tcl_Obj *word, int (*call)(sdb_fd fd)) {
  uint64_t fd;
  if (sdb_test_u64(interp, word, &fd) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, call((sdb_fd)fd));
}

static int run_sync_dir(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return with_fd(interp, argv[0], sdb_os_sync_dir);
}

static int run_fdatasync(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return with_fd(interp, argv[0], sdb_os_fdatasync);
}

static int run_fsync(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return with_fd(interp, argv[0], sdb_os_fsync);
}

static int run_unlock(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return with_fd(interp, argv[0], sdb_os_unlock);
}

static int run_close(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t fd;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &fd) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_os_close((sdb_fd)fd);
  return TCL_OK;
}

static int info_result(Tcl_Interp *interp, Tcl_Obj *word, int (*call)(sdb_fd fd, sdb_os_info *info)) {
  uint64_t fd;
  sdb_os_info info = {0};
  if (sdb_test_u64(interp, word, &fd) != TCL_OK) {
    return TCL_ERROR;
  }
  int error = call((sdb_fd)fd, &info);
  Tcl_Obj *words[] = {Tcl_NewStringObj("size", -1),   sdb_test_wide(info.size_bytes), Tcl_NewStringObj("disk", -1),
                      sdb_test_wide(info.disk_bytes), Tcl_NewStringObj("device", -1), sdb_test_wide(info.device),
                      Tcl_NewStringObj("inode", -1),  sdb_test_wide(info.inode)};
  Tcl_SetObjResult(interp, Tcl_NewListObj(8, words));
  return sdb_test_errno(interp, error);
}

static int run_dir_info(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return info_result(interp, argv[0], sdb_os_dir_info);
}

static int run_info(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return info_result(interp, argv[0], sdb_os_info_of);
}

/* ---- reading and writing ----------------------------------------------------------------------------------- */

static int run_pread(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[3]; /* fd bytes offset */
  size_t got = 0;
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  Tcl_Obj *result = Tcl_NewByteArrayObj(NULL, (int)n[1]);
  int error = sdb_os_pread((sdb_fd)n[0], Tcl_GetByteArrayFromObj(result, NULL), (size_t)n[1], n[2], &got);
  Tcl_SetByteArrayLength(result, (int)got);
  Tcl_SetObjResult(interp, result);
  return sdb_test_errno(interp, error);
}

static int run_pwrite(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t fd, offset;
  int bytes;
  (void)argc;
  const unsigned char *data = Tcl_GetByteArrayFromObj(argv[1], &bytes);
  if (sdb_test_u64(interp, argv[0], &fd) != TCL_OK || sdb_test_u64(interp, argv[2], &offset) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_os_pwrite((sdb_fd)fd, data, (size_t)bytes, offset));
}

/* A long run of one byte value in a single pwrite: more than Tcl's own byte arrays hold. */
static int run_fill(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[4]; /* fd byte count offset */
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  void *data = malloc((size_t)n[2]);
  if (data == NULL) {
    return sdb_test_errno(interp, ENOMEM);
  }
  memset(data, (int)n[1], (size_t)n[2]);
  int error = sdb_os_pwrite((sdb_fd)n[0], data, (size_t)n[2], n[3]);
  free(data);
  return sdb_test_errno(interp, error);
}

static int run_truncate(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[2];
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_os_truncate((sdb_fd)n[0], n[1]));
}

static int run_punch(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[3];
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_os_punch((sdb_fd)n[0], n[1], n[2]));
}

static int run_dense(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  int fd;
  (void)argc;
  if (Tcl_GetIntFromObj(interp, argv[0], &fd) != TCL_OK) {
    return TCL_ERROR;
  }
  return int_result(interp, sdb_os_dense((sdb_fd)fd), 0);
}

static int run_next_data(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[3], data = 0, data_end = 0;
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  int error = sdb_os_next_data((sdb_fd)n[0], n[1], n[2], &data, &data_end);
  Tcl_Obj *words[] = {sdb_test_wide(data), sdb_test_wide(data_end)};
  Tcl_SetObjResult(interp, Tcl_NewListObj(2, words));
  return sdb_test_errno(interp, error);
}

static int run_lock(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t fd;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &fd) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_os_lock((sdb_fd)fd, strcmp(Tcl_GetString(argv[1]), "exclusive") == 0));
}

static int run_lock_byte(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[2];
  if (get_numbers(interp, argc - 1, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  bool exclusive = strcmp(Tcl_GetString(argv[2]), "exclusive") == 0;
  return sdb_test_errno(interp, sdb_os_lock_byte((sdb_fd)n[0], n[1], exclusive));
}

static int run_unlock_byte(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[2];
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_os_unlock_byte((sdb_fd)n[0], n[1]));
}

static int run_unlock_all_bytes(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return with_fd(interp, argv[0], sdb_os_unlock_all_bytes);
}

static int run_byte_is_locked(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[2];
  bool locked = false;
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  int error = sdb_os_byte_is_locked((sdb_fd)n[0], n[1], &locked);
  return int_result(interp, locked, error);
}

/* {the second word of the file} {what replacing it did, twice} {did a wait for another value return at once}. */
static int run_shared(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[2]; /* fd bytes */
  void *address = NULL;
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  int error = sdb_os_share((sdb_fd)n[0], (size_t)n[1], &address);
  if (error != 0) {
    return sdb_test_errno(interp, error);
  }
  sdb_word *words = address;
  uint64_t before = sdb_word_load(&words[1]);
  bool replaced = sdb_word_replace(&words[1], before, before + 1), again = sdb_word_replace(&words[1], before, 0);
  sdb_word_store(&words[2], 7);
  sdb_os_word_wait(&words[2], 8, 60000); /* returns at once: it is another value */
  sdb_os_word_wait(&words[2], 7, 1);     /* returns when the time is over */
  sdb_os_word_wake(&words[2]);
  sdb_os_unshare(address, (size_t)n[1]);
  Tcl_Obj *list[] = {sdb_test_wide(before), Tcl_NewIntObj(replaced), Tcl_NewIntObj(again)};
  Tcl_SetObjResult(interp, Tcl_NewListObj(3, list));
  return TCL_OK;
}

static int run_file_system(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_os_file_system info = {0};
  uint64_t fd;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &fd) != TCL_OK) {
    return TCL_ERROR;
  }
  int error = sdb_os_file_system_of((sdb_fd)fd, &info);
  Tcl_Obj *list[] = {Tcl_NewStringObj(info.remote != NULL ? info.remote : "", -1), Tcl_NewIntObj(info.read_only)};
  Tcl_SetObjResult(interp, Tcl_NewListObj(2, list));
  return sdb_test_errno(interp, error);
}

static int run_pid(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  return int_result(interp, sdb_os_pid(), 0);
}

static int run_boot(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  return int_result(interp, sdb_os_boot() != 0 && sdb_os_boot() == sdb_os_boot(), 0);
}

/* ---- mappings ---------------------------------------------------------------------------------------------- */

static int run_map(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[3]; /* fd offset bytes */
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  for (size_t i = 0; i < MAPS_MAX; i++) {
    if (maps[i].address == NULL) {
      int error = sdb_os_map((sdb_fd)n[0], n[1], n[2], &maps[i].address);
      maps[i].bytes = n[2];
      return int_result(interp, i, error);
    }
  }
  return sdb_test_errno(interp, EMFILE);
}

static int run_mapped(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t n[3]; /* map offset bytes */
  if (get_numbers(interp, argc, argv, n) != TCL_OK) {
    return TCL_ERROR;
  }
  if (n[0] >= MAPS_MAX || maps[n[0]].address == NULL || n[1] + n[2] > maps[n[0]].bytes) {
    return sdb_test_errno(interp, EINVAL);
  }
  Tcl_SetObjResult(interp, Tcl_NewByteArrayObj(maps[n[0]].address + n[1], (int)n[2]));
  return TCL_OK;
}

static int run_populate(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t map;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &map) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, map < MAPS_MAX ? sdb_os_populate(maps[map].address, maps[map].bytes) : EINVAL);
}

static int run_unmap(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t map;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &map) != TCL_OK) {
    return TCL_ERROR;
  }
  if (map >= MAPS_MAX) {
    return sdb_test_errno(interp, EINVAL);
  }
  sdb_os_unmap(maps[map].address, maps[map].bytes);
  maps[map].address = NULL;
  return TCL_OK;
}

static int run_window(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  return int_result(interp, sdb_os_map_window(), 0);
}

/* ---- the rest ---------------------------------------------------------------------------------------------- */

static int run_random(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t count;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &count) != TCL_OK) {
    return TCL_ERROR;
  }
  Tcl_Obj *result = Tcl_NewByteArrayObj(NULL, (int)count);
  int error = sdb_os_random(Tcl_GetByteArrayFromObj(result, NULL), (size_t)count);
  Tcl_SetObjResult(interp, result);
  return sdb_test_errno(interp, error);
}

static int run_now_ms(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  return int_result(interp, sdb_os_now_ms(), 0);
}

static int run_fork_count(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  return int_result(interp, sdb_os_fork_count(), 0);
}

/* How much the count grew for a child, 0..255. */
static int run_fork_count_in_child(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  int status = 0;
  uint64_t before = sdb_os_fork_count();
  pid_t child = fork();
  if (child == 0) {
    _exit((int)(sdb_os_fork_count() - before));
  }
  waitpid(child, &status, 0);
  return int_result(interp, (uint64_t)WEXITSTATUS(status), 0);
}

static int run_memory(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t bytes;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  void *memory = sdb_calloc(1, (size_t)bytes);
  void *bigger = memory != NULL ? sdb_realloc(memory, (size_t)bytes * 2) : NULL;
  sdb_free(bigger != NULL ? bigger : memory);
  return int_result(interp, bigger != NULL, 0);
}

static const sdb_test_sub subs[] = {{"boot", 0, 0, NULL, run_boot},
                                    {"byte_is_locked", 2, 2, "fd at", run_byte_is_locked},
                                    {"close", 1, 1, "fd", run_close},
                                    {"dense", 1, 1, "fd", run_dense},
                                    {"dir_info", 1, 1, "fd", run_dir_info},
                                    {"fdatasync", 1, 1, "fd", run_fdatasync},
                                    {"file_system", 1, 1, "fd", run_file_system},
                                    {"fill", 4, 4, "fd byte count offset", run_fill},
                                    {"fork_count", 0, 0, NULL, run_fork_count},
                                    {"fork_count_in_child", 0, 0, NULL, run_fork_count_in_child},
                                    {"fsync", 1, 1, "fd", run_fsync},
                                    {"info", 1, 1, "fd", run_info},
                                    {"lock", 2, 2, "fd shared|exclusive", run_lock},
                                    {"lock_byte", 3, 3, "fd at shared|exclusive", run_lock_byte},
                                    {"make_dir", 1, 1, "path", run_make_dir},
                                    {"map", 3, 3, "fd offset bytes", run_map},
                                    {"mapped", 3, 3, "map offset bytes", run_mapped},
                                    {"memory", 1, 1, "bytes", run_memory},
                                    {"next_data", 3, 3, "fd offset end", run_next_data},
                                    {"now_ms", 0, 0, NULL, run_now_ms},
                                    {"open", 2, 5, "dir name ?write? ?create? ?excl?", run_open},
                                    {"open_dir", 1, 1, "path", run_open_dir},
                                    {"pid", 0, 0, NULL, run_pid},
                                    {"populate", 1, 1, "map", run_populate},
                                    {"pread", 3, 3, "fd bytes offset", run_pread},
                                    {"punch", 3, 3, "fd offset bytes", run_punch},
                                    {"pwrite", 3, 3, "fd data offset", run_pwrite},
                                    {"random", 1, 1, "count", run_random},
                                    {"rename", 3, 3, "dir from to", run_rename},
                                    {"rename_new", 3, 3, "dir from to", run_rename_new},
                                    {"shared", 2, 2, "fd bytes", run_shared},
                                    {"sync_dir", 1, 1, "fd", run_sync_dir},
                                    {"sync_parent", 1, 1, "path", run_sync_parent},
                                    {"truncate", 2, 2, "fd bytes", run_truncate},
                                    {"unlink", 2, 2, "dir name", run_unlink},
                                    {"remove_dir", 2, 2, "dir name", run_remove_dir},
                                    {"unlock", 1, 1, "fd", run_unlock},
                                    {"unlock_all_bytes", 1, 1, "fd", run_unlock_all_bytes},
                                    {"unlock_byte", 2, 2, "fd at", run_unlock_byte},
                                    {"unmap", 1, 1, "map", run_unmap},
                                    {"window", 0, 0, NULL, run_window},
                                    {NULL, 0, 0, NULL, NULL}};

int sdb_test_os_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_os", sdb_test_dispatch, (ClientData)(uintptr_t)subs, NULL);
  return TCL_OK;
}
