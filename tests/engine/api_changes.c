/* SPDX-License-Identifier: MIT
**
** api_changes.c: what has changed, as Tcl commands.
**
**   SNAPSHOT changes SINCE  -> list: the snapshot's generation, then of each change
**                              {op entry created offset bytes name}
**   NAME changes_floor      -> generation
**   NAME settled            -> generation
**   NAME new_uuid
*/
#include "engine/api.h"

static Tcl_Obj *told(const seqdb_change *change) {
  static const char *const ops[] = {"?", "remove", "create", "rename", "write", "length"};
  Tcl_Obj *words[] = {Tcl_NewStringObj(ops[change->op < 6 ? change->op : 0], -1),
                      sdb_test_wide(change->entry),
                      sdb_test_wide(change->created),
                      sdb_test_wide(change->offset),
                      sdb_test_wide(change->bytes),
                      change->name ? sdb_api_text(change->name, change->name_bytes) : Tcl_NewObj()};
  return Tcl_NewListObj(6, words);
}

int sdb_api_run_changes(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_snapshot *at = object;
  seqdb_changes *changes = NULL;
  seqdb_change change = SEQDB_CHANGE_INIT;
  uint64_t since, to = 0;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &since) != TCL_OK) return TCL_ERROR;
  int rc = seqdb_changes_open(at->db, at->snapshot, since, &to, &changes);
  if (rc != SEQDB_OK) return sdb_api_done(interp, at->db, rc);
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  Tcl_ListObjAppendElement(NULL, list, sdb_test_wide(to));
  while ((rc = seqdb_changes_next(changes, &change)) == SEQDB_OK)
    Tcl_ListObjAppendElement(NULL, list, told(&change));
  seqdb_changes_close(changes);
  Tcl_SetObjResult(interp, list);
  return sdb_api_done(interp, at->db, rc);
}

static int run_floor(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint64_t generation = 0;
  (void)argc, (void)argv;
  int rc = seqdb_changes_floor(at->db, &generation);
  if (rc == SEQDB_OK) Tcl_SetObjResult(interp, sdb_test_wide(generation));
  return sdb_api_done(interp, at->db, rc);
}

static int run_settled(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint64_t generation = 0;
  (void)argc, (void)argv;
  int rc = seqdb_settled(at->db, &generation);
  if (rc == SEQDB_OK) Tcl_SetObjResult(interp, sdb_test_wide(generation));
  return sdb_api_done(interp, at->db, rc);
}

static int run_new_uuid(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  (void)argc, (void)argv;
  return sdb_api_done(interp, at->db, seqdb_new_uuid(at->db));
}

const sdb_api_sub sdb_api_changes_subs[] = {{"changes_floor", 0, 0, NULL, run_floor},
                                            {"settled", 0, 0, NULL, run_settled},
                                            {"new_uuid", 0, 0, NULL, run_new_uuid},
                                            {NULL, 0, 0, NULL, NULL}};
