/* SPDX-License-Identifier: MIT
**
** api_corners.c: calls of the C interface that the commands of engine/api.c do not make: in a forked child, with null
** pointers where they are allowed, with arguments that no command can be given.
**
**   sdb_fork HANDLE REGION ?DIRECTORY?   -> {call code ...}: what a forked child is told by each call, and by opening
**                                        DIRECTORY
**   sdb_corners DIRECTORY                makes a database there -> {call code ...}
**
** THREADS: the interpreter's.
*/
#include "engine/api.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "lib/testfixture.h"

/* ---- fork ---- */

#ifdef SDB_COVERAGE
void __gcov_dump(void);
#endif

static void tell(FILE *out, const char *call, int rc) {
  fprintf(out, "{%s} %s ", call, sdb_api_code_name(rc));
}

/* Only what a program may do between fork and _exit with a library that promises to answer MISUSE. */
static void child_calls(seqdb *db, seqdb_snapshot *pinned, seqdb_region region, FILE *out) {
  static const char *const names[] = {"a"};
  static const size_t name_bytes[] = {1};
  uint64_t number = 0;
  seqdb_region other;
  seqdb_region_info info;
  seqdb_snapshot *snapshot = NULL;
  seqdb_stat_info stat = SEQDB_STAT_INIT;
  size_t got;
  seqdb_layout_row *rows = NULL;
  seqdb_compact_step_info step;
  const void *address;
  size_t count;
  char byte;
  tell(out, "create", seqdb_find_or_create(db, "child", 5, &other, NULL));
  tell(out, "append", seqdb_append(db, region, "x", 1, &number));
  tell(out, "write", seqdb_write(db, region, 0, "x", 1));
  tell(out, "truncate", seqdb_truncate(db, region, 0));
  tell(out, "rename", seqdb_rename(db, region, "n", 1));
  tell(out, "truncate_write", seqdb_truncate_write(db, region, 0, "x", 1));
  tell(out, "set_length", seqdb_set_length(db, region, 10));
  tell(out, "reserve", seqdb_reserve(db, region, 10, &number));
  tell(out, "retain", seqdb_retain(db, names, name_bytes, 1, &number));
  tell(out, "remove", seqdb_remove(db, region));
  tell(out, "flush", seqdb_flush(db, &number));
  tell(out, "rollback", seqdb_rollback(db));
  tell(out, "savepoint", seqdb_savepoint(db, 0));
  tell(out, "release", seqdb_release(db, 0));
  tell(out, "rollback_to", seqdb_rollback_to(db, 0));
  tell(out, "prepare", seqdb_prepare(db, NULL, NULL));
  seqdb_publish(db);
  tell(out, "snapshot", seqdb_snapshot_open(db, &snapshot));
  tell(out, "find", seqdb_find(seqdb_snapshot_view(pinned), "a", 1, &other));
  tell(out, "info", seqdb_get_info(seqdb_own_view(db), region, &info));
  tell(out, "iterate", seqdb_iterate(seqdb_own_view(db), 0, &info));
  tell(out, "read", seqdb_read_copy(seqdb_own_view(db), region, 0, &byte, 1, &got));
  tell(out, "read pinned", seqdb_read_copy(seqdb_snapshot_view(pinned), region, 0, &byte, 1, &got));
  tell(out, "point", seqdb_read(seqdb_snapshot_view(pinned), region, 0, 1, &address));
  tell(out, "compact", seqdb_compact(db, &number));
  number = 0;
  tell(out, "compact_step", seqdb_compact_step(db, &number, &step));
  tell(out, "layout", seqdb_layout(db, &rows, &count));
  tell(out, "checkpoint", seqdb_checkpoint(db));
  tell(out, "check", seqdb_check(db, NULL, NULL, &number));
  tell(out, "stat", seqdb_stat(db, &stat));
  seqdb_snapshot_close(pinned);
  seqdb_close(db);
}

/* The child has a registry of its own, and its parent has the lock. */
static void child_opens(const char *directory, FILE *out) {
  seqdb *db = NULL;
  tell(out, "open", seqdb_open(directory, NULL, NULL, &db));
  seqdb_close(db);
}

static int fork_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_region region;
  seqdb_snapshot *pinned;
  char text[2000];
  size_t bytes = 0;
  ssize_t got;
  int ends[2], status = 0;
  (void)data;
  sdb_api_db *at = argc == 3 || argc == 4 ? sdb_api_handle(interp, argv[1]) : NULL;
  if (at == NULL || sdb_api_region(interp, at->db, seqdb_own_view(at->db), argv[2], &region) != TCL_OK ||
      seqdb_snapshot_open(at->db, &pinned) != SEQDB_OK || pipe(ends) != 0) {
    return TCL_ERROR;
  }
  pid_t child = fork();
  if (child == 0) {
    FILE *out = fdopen(ends[1], "w");
    child_calls(at->db, pinned, region, out);
    if (argc == 4) {
      child_opens(Tcl_GetString(argv[3]), out);
    }
    fclose(out);
#ifdef SDB_COVERAGE
    __gcov_dump(); /* _exit does not */
#endif
    _exit(0);
  }
  close(ends[1]);
  seqdb_snapshot_close(pinned);
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

/* ---- null pointers and odd arguments ---- */

static void note(Tcl_Obj *dict, const char *call, int rc) {
  const char *name = rc == SEQDB_COPY ? "COPY" : sdb_api_code_name(rc);
  sdb_api_put(dict, call, Tcl_NewStringObj(name, -1));
}

static void odd_opens(Tcl_Obj *told, const char *directory) {
  seqdb *db = NULL;
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb_options options = {.size_bytes = sizeof options, .flags = 0x8000};
  note(told, "open without options", seqdb_open(directory, NULL, NULL, &db));
  note(told, "open unknown flags", seqdb_open(directory, &options, &error, &db));
  options.flags = SEQDB_OPEN_RESOLVE_KEEP | SEQDB_OPEN_RESOLVE_DROP;
  note(told, "open undecided", seqdb_open(directory, &options, &error, &db));
  seqdb_close(NULL);
  seqdb_snapshot_close(NULL);
}

static void same_directories(Tcl_Obj *told, seqdb *db, const char *directory) {
  char endless[5000] = "/";
  memset(endless + 1, 'x', sizeof endless - 2);
  sdb_api_put_u64(told, "same", (uint64_t)seqdb_same_directory(db, directory));
  sdb_api_put_u64(told, "same as /proc", (uint64_t)seqdb_same_directory(db, "/proc"));
  sdb_api_put_u64(told, "same as nothing", (uint64_t)seqdb_same_directory(db, "/nowhere"));
  note(told, "same as no path", seqdb_same_directory(db, endless));
}

static void odd_changes(Tcl_Obj *told, seqdb *db, seqdb_region region) {
  static const char *const names[] = {"a"};
  static const size_t name_bytes[] = {1};
  seqdb_region other;
  note(told, "retain of nothing", seqdb_retain(db, names, name_bytes, 1, NULL));
  note(told, "create", seqdb_find_or_create(db, "b", 1, &other, NULL));
  note(told, "append", seqdb_append(db, region, "xyz", 3, NULL));
  note(told, "reserve", seqdb_reserve(db, region, 100000, NULL));
  note(told, "prepare", seqdb_prepare(db, NULL, NULL));
  note(told, "prepare again", seqdb_prepare(db, NULL, NULL));
  seqdb_publish(db);
  note(told, "retain", seqdb_retain(db, names, name_bytes, 1, NULL));
  note(told, "flush", seqdb_flush(db, NULL));
  note(told, "use of what is gone", seqdb_append(db, other, "x", 1, NULL));
}

static void odd_reads(Tcl_Obj *told, seqdb *db, seqdb_region region) {
  char name[SEQDB_NAME_BYTES_MAX + 1] = "a", bytes[3];
  seqdb_snapshot *snapshot;
  seqdb_region_info info;
  seqdb_region gone = region + ((uint64_t)1 << 40), found;
  const void *address;
  size_t got = 0;
  uint64_t regions = 99, content = 99;
  note(told, "snapshot", seqdb_snapshot_open(db, &snapshot));
  seqdb_view_totals(seqdb_snapshot_view(snapshot), NULL, NULL);
  seqdb_view_totals(seqdb_snapshot_view(snapshot), &regions, &content);
  sdb_api_put_u64(told, "content", content);
  seqdb_view_totals(seqdb_own_view(db), &regions, &content);
  sdb_api_put_u64(told, "content of the own view", content);
  note(told, "find a long name", seqdb_find(seqdb_snapshot_view(snapshot), name, sizeof name, &found));
  note(told, "point at what is gone", seqdb_read(seqdb_snapshot_view(snapshot), gone, 0, 1, &address));
  note(told, "point past the end", seqdb_read(seqdb_snapshot_view(snapshot), region, 4, 0, &address));
  note(told, "point at too much", seqdb_read(seqdb_snapshot_view(snapshot), region, 2, 2, &address));
  note(told, "point at the own view", seqdb_read(seqdb_own_view(db), region, 0, 1, &address));
  note(told, "copy what is gone", seqdb_read_copy(seqdb_snapshot_view(snapshot), gone, 0, bytes, 1, &got));
  note(told, "point at what never was", seqdb_read(seqdb_snapshot_view(snapshot), region + 1000, 0, 1, &address));
  note(told, "copy what never was", seqdb_read_copy(seqdb_snapshot_view(snapshot), region + 1000, 0, bytes, 1, &got));
  note(told, "info of what is gone", seqdb_get_info(seqdb_snapshot_view(snapshot), gone, &info));
  seqdb_snapshot_close(snapshot);
  note(told, "own copy of what is gone", seqdb_read_copy(seqdb_own_view(db), gone, 0, bytes, 1, &got));
  note(told, "change", seqdb_append(db, region, "!", 1, NULL));
  note(told, "buffered change", seqdb_append(db, region, "??", 2, NULL));
  seqdb_view_totals(seqdb_own_view(db), &regions, &content);
  sdb_api_put_u64(told, "regions of the own view, changed", regions);
  sdb_api_put_u64(told, "content of the own view, changed", content);
  note(told, "own copy of what is gone, changed", seqdb_read_copy(seqdb_own_view(db), gone, 0, bytes, 1, &got));
  note(told, "rollback", seqdb_rollback(db));
}

static int corners_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb *db = NULL;
  seqdb_region region = 0;
  seqdb_options options = {.size_bytes = sizeof options, .flags = SEQDB_OPEN_CREATE};
  seqdb_error error = SEQDB_ERROR_INIT;
  (void)data;
  if (argc != 2) {
    Tcl_WrongNumArgs(interp, 1, argv, "directory");
    return TCL_ERROR;
  }
  Tcl_Obj *told = Tcl_NewDictObj();
  Tcl_IncrRefCount(told);
  odd_opens(told, Tcl_GetString(argv[1]));
  int rc = seqdb_open(Tcl_GetString(argv[1]), &options, &error, &db);
  if (rc == SEQDB_OK) {
    same_directories(told, db, Tcl_GetString(argv[1]));
    note(told, "retain of an empty database", seqdb_retain(db, NULL, NULL, 0, NULL));
    note(told, "create a", seqdb_find_or_create(db, "a", 1, &region, NULL));
    odd_changes(told, db, region);
    odd_reads(told, db, region);
    note(told, "compact", seqdb_compact(db, NULL));
    note(told, "check", seqdb_check(db, NULL, NULL, NULL));
    sdb_api_put_u64(told, "writable", (uint64_t)!seqdb_is_readonly(db, NULL));
    sdb_api_put(told, "text", Tcl_NewStringObj(seqdb_strerror(SEQDB_NOTFOUND), -1));
    seqdb_close(db);
    Tcl_SetObjResult(interp, told);
  }
  Tcl_DecrRefCount(told);
  return sdb_api_result(interp, rc, &error);
}

int sdb_test_api_corners_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_fork", fork_command, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_corners", corners_command, NULL, NULL);
  return TCL_OK;
}
