/* SPDX-License-Identifier: MIT
**
** api_corners.c: calls of the C interface that the commands of engine/api.c do not make: with null pointers where they
** are allowed, with arguments that no command can be given.
**
**   sdb_corners DIRECTORY   makes a database there -> {call code ...}
**
** THREADS: the interpreter's.
*/
#include "engine/api.h"

#include "lib/testfixture.h"

static void note(Tcl_Obj *dict, const char *call, int rc) {
  sdb_api_put(dict, call, Tcl_NewStringObj(sdb_api_code_name(rc), -1));
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
  Tcl_CreateObjCommand(interp, "sdb_corners", corners_command, NULL, NULL);
  return TCL_OK;
}
