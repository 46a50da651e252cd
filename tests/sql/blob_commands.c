/* SPDX-License-Identifier: MIT
**
** blob_commands.c: the calls of seqdb_blob.h as Tcl commands.
**
**   sql_region open DB SCHEMA TABLE NAME FLAGS -> handle
**   sql_region close B | bytes B | read B OFFSET BYTES | write B OFFSET DATA | append B DATA | truncate B LENGTH
**   sql_region map B -> content | address B -> where it is mapped | reopen B NAME
**
** A call that fails is a Tcl error: the result code as a number.  Its text is sqlite3_errmsg()'s: see sql_error.
** Threads: the interpreter's.
*/
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3ext.h>
#include "sql/commands.h"

static const sqlite3_api_routines *sqlite3_api;

#include "seqdb_blob.h"
#include "lib/test_tcl.h"
#include "lib/testfixture.h"

static int done(Tcl_Interp *interp, int rc) {
  if (rc == SQLITE_OK) return TCL_OK;
  Tcl_SetObjResult(interp, Tcl_NewIntObj(rc));
  return TCL_ERROR;
}

static int get_blob(Tcl_Interp *interp, Tcl_Obj *word, seqdb_blob **blob) {
  uint64_t value;
  if (sdb_test_u64(interp, word, &value) != TCL_OK) return TCL_ERROR;
  *blob = (seqdb_blob *)(uintptr_t)value;
  return TCL_OK;
}

static int run_open(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  Tcl_CmdInfo info;
  seqdb_blob *blob = NULL;
  int flags;
  (void)argc;
  sqlite3_api = sdb_test_sqlite_api();
  if (!sqlite3_api || !Tcl_GetCommandInfo(interp, Tcl_GetString(argv[0]), &info)) return done(interp, SQLITE_MISUSE);
  if (Tcl_GetIntFromObj(interp, argv[4], &flags) != TCL_OK) return TCL_ERROR;
  sqlite3 *db = *(sqlite3 **)info.objClientData;
  int rc = seqdb_blob_open(db, Tcl_GetString(argv[1]), Tcl_GetString(argv[2]), Tcl_GetString(argv[3]), flags, &blob);
  if (rc == SQLITE_OK) Tcl_SetObjResult(interp, sdb_test_wide((uintptr_t)blob));
  return done(interp, rc);
}

static int run_close(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_blob *blob;
  (void)argc;
  return get_blob(interp, argv[0], &blob) == TCL_OK ? done(interp, seqdb_blob_close(blob)) : TCL_ERROR;
}

static int run_bytes(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_blob *blob;
  (void)argc;
  if (get_blob(interp, argv[0], &blob) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, Tcl_NewWideIntObj(seqdb_blob_bytes(blob)));
  return TCL_OK;
}

static int run_read(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_blob *blob;
  Tcl_WideInt offset, bytes;
  (void)argc;
  if (get_blob(interp, argv[0], &blob) != TCL_OK || Tcl_GetWideIntFromObj(interp, argv[1], &offset) != TCL_OK ||
      Tcl_GetWideIntFromObj(interp, argv[2], &bytes) != TCL_OK)
    return TCL_ERROR;
  unsigned char *buffer = malloc(bytes > 0 ? (size_t)bytes : 1);
  int rc = buffer ? seqdb_blob_read(blob, buffer, bytes, offset) : SQLITE_NOMEM;
  if (rc == SQLITE_OK) Tcl_SetObjResult(interp, Tcl_NewByteArrayObj(buffer, (int)bytes));
  free(buffer);
  return done(interp, rc);
}

static int run_write(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_blob *blob;
  Tcl_WideInt offset;
  int bytes;
  (void)argc;
  if (get_blob(interp, argv[0], &blob) != TCL_OK || Tcl_GetWideIntFromObj(interp, argv[1], &offset) != TCL_OK)
    return TCL_ERROR;
  const unsigned char *data = Tcl_GetByteArrayFromObj(argv[2], &bytes);
  return done(interp, seqdb_blob_write(blob, data, bytes, offset));
}

static int run_append(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_blob *blob;
  int bytes;
  (void)argc;
  if (get_blob(interp, argv[0], &blob) != TCL_OK) return TCL_ERROR;
  const unsigned char *data = Tcl_GetByteArrayFromObj(argv[1], &bytes);
  return done(interp, seqdb_blob_append(blob, data, bytes));
}

static int run_truncate(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_blob *blob;
  Tcl_WideInt length;
  (void)argc;
  if (get_blob(interp, argv[0], &blob) != TCL_OK || Tcl_GetWideIntFromObj(interp, argv[1], &length) != TCL_OK)
    return TCL_ERROR;
  return done(interp, seqdb_blob_truncate(blob, length));
}

static int map_blob(Tcl_Interp *interp, Tcl_Obj *word, const void **data, sqlite3_int64 *bytes) {
  seqdb_blob *blob;
  if (get_blob(interp, word, &blob) != TCL_OK) return TCL_ERROR;
  return done(interp, seqdb_blob_map(blob, data, bytes));
}

static int run_map(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  const void *data = NULL;
  sqlite3_int64 bytes = 0;
  (void)argc;
  if (map_blob(interp, argv[0], &data, &bytes) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, Tcl_NewByteArrayObj(data, (int)bytes));
  return TCL_OK;
}

static int run_address(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  const void *data = NULL;
  sqlite3_int64 bytes = 0;
  (void)argc;
  if (map_blob(interp, argv[0], &data, &bytes) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, sdb_test_wide((uintptr_t)data));
  return TCL_OK;
}

static int run_reopen(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_blob *blob;
  (void)argc;
  if (get_blob(interp, argv[0], &blob) != TCL_OK) return TCL_ERROR;
  return done(interp, seqdb_blob_reopen(blob, Tcl_GetString(argv[1])));
}

int sdb_test_sql_blob_init(Tcl_Interp *interp) {
  static const sdb_test_sub subs[] = {
      {"open", 5, 5, "db schema table name flags", run_open},
      {"close", 1, 1, "blob", run_close},
      {"bytes", 1, 1, "blob", run_bytes},
      {"read", 3, 3, "blob offset bytes", run_read},
      {"write", 3, 3, "blob offset data", run_write},
      {"append", 2, 2, "blob data", run_append},
      {"truncate", 2, 2, "blob length", run_truncate},
      {"map", 1, 1, "blob", run_map},
      {"address", 1, 1, "blob", run_address},
      {"reopen", 2, 2, "blob name", run_reopen},
      {NULL, 0, 0, NULL, NULL},
  };
  Tcl_CreateObjCommand(interp, "sql_region", sdb_test_dispatch, (ClientData)(uintptr_t)subs, NULL);
  return TCL_OK;
}
