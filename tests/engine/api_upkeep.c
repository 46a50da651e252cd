/* SPDX-License-Identifier: MIT
**
** api_upkeep.c: upkeep and facts about a handle as Tcl commands.
**
**   NAME checkpoint
**   NAME compact                -> bytes given back
**   NAME compact_step VARIABLE  -> {kind move|punch|cut name TEXT moved N freed N}, empty when nothing is left;
**                               VARIABLE
**                                  holds the cursor, 0 at first
**   NAME backup DIRECTORY       -> bytes copied
**   NAME check                  -> list of problems
**   NAME stat                   -> dict
**   NAME layout                 -> list of {offset N bytes N kind region|hole|pending|tail name TEXT used N}
**   NAME changed ?R?            -> has the transaction changed anything, or this region?
**   NAME readonly               -> {0 {}} or {1 message}
**   NAME uuid                   -> 16 bytes
**   NAME error                  -> {code NAME errno NAME operation TEXT file TEXT offset N message TEXT}
**   NAME timeout MS | interrupt N   the interrupt callback says "stop" from its Nth call on; -1: never
**
** THREADS: the interpreter's.
*/
#include "engine/api.h"

static int run_checkpoint(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  (void)argc, (void)argv;
  return sdb_api_done(interp, at->db, seqdb_checkpoint(at->db));
}

static int run_compact(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint64_t freed = 0;
  (void)argc, (void)argv;
  int rc = seqdb_compact(at->db, &freed);
  if (rc == SEQDB_OK) Tcl_SetObjResult(interp, sdb_test_wide(freed));
  return sdb_api_done(interp, at->db, rc);
}

static int run_compact_step(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const kinds[] = {"?", "move", "punch", "cut"};
  sdb_api_db *at = object;
  seqdb_compact_step_info step;
  uint64_t cursor = 0;
  (void)argc;
  Tcl_Obj *value = Tcl_ObjGetVar2(interp, argv[0], NULL, TCL_LEAVE_ERR_MSG);
  if (value == NULL || sdb_test_u64(interp, value, &cursor) != TCL_OK) return TCL_ERROR;
  int rc = seqdb_compact_step(at->db, &cursor, &step);
  if (Tcl_ObjSetVar2(interp, argv[0], NULL, sdb_test_wide(cursor), TCL_LEAVE_ERR_MSG) == NULL) return TCL_ERROR;
  Tcl_ResetResult(interp);
  if (rc == SEQDB_OK) {
    Tcl_Obj *dict = Tcl_NewDictObj();
    sdb_api_put(dict, "kind", Tcl_NewStringObj(kinds[step.kind < 4 ? step.kind : 0], -1));
    sdb_api_put(dict, "name", sdb_api_text(step.name, step.name_bytes));
    sdb_api_put_u64(dict, "moved", step.moved_bytes);
    sdb_api_put_u64(dict, "freed", step.freed_bytes);
    Tcl_SetObjResult(interp, dict);
  }
  return sdb_api_done(interp, at->db, rc);
}

static int run_backup(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint64_t bytes = 0;
  (void)argc;
  int rc = seqdb_backup(at->db, Tcl_GetString(argv[0]), &bytes);
  if (rc == SEQDB_OK) Tcl_SetObjResult(interp, sdb_test_wide(bytes));
  return sdb_api_done(interp, at->db, rc);
}

static int add_problem(void *list, const char *problem) {
  Tcl_ListObjAppendElement(NULL, list, sdb_api_text(problem, strlen(problem)));
  return 0;
}

static int run_check(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint64_t problems = 0;
  int count;
  (void)argc, (void)argv;
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  int rc = seqdb_check(at->db, add_problem, list, &problems);
  Tcl_ListObjLength(NULL, list, &count);
  Tcl_SetObjResult(interp, list);
  if (rc == SEQDB_OK && (uint64_t)count != problems) {
    Tcl_SetObjResult(interp, Tcl_ObjPrintf("check reported %d problems and counted %d", count, (int)problems));
    return TCL_ERROR;
  }
  return sdb_api_done(interp, at->db, rc);
}

static int add_snapshot(void *context, const seqdb_snapshot_info *snapshot) {
  Tcl_Obj *row[] = {Tcl_NewWideIntObj((Tcl_WideInt)snapshot->pid), Tcl_NewWideIntObj((Tcl_WideInt)snapshot->generation),
                    Tcl_NewWideIntObj((Tcl_WideInt)snapshot->age_ms),
                    Tcl_NewWideIntObj((Tcl_WideInt)snapshot->held_bytes)};
  return Tcl_ListObjAppendElement(NULL, context, Tcl_NewListObj(4, row)) != TCL_OK;
}

static int run_snapshots(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  Tcl_Obj *rows = Tcl_NewListObj(0, NULL);
  (void)argc, (void)argv;
  Tcl_IncrRefCount(rows);
  int rc = seqdb_snapshots(at->db, add_snapshot, rows);
  if (rc == SEQDB_OK) Tcl_SetObjResult(interp, rows);
  Tcl_DecrRefCount(rows);
  return rc == SEQDB_OK ? TCL_OK : sdb_api_done(interp, at->db, rc);
}

static int run_wait(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint64_t generation, ms, newest = 0;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &generation) != TCL_OK || sdb_test_u64(interp, argv[1], &ms) != TCL_OK)
    return TCL_ERROR;
  int rc = seqdb_wait(at->db, generation, (uint32_t)ms, &newest);
  if (rc != SEQDB_OK) return sdb_api_done(interp, at->db, rc);
  Tcl_SetObjResult(interp, Tcl_NewWideIntObj((Tcl_WideInt)newest));
  return TCL_OK;
}

static int run_stat(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  seqdb_stat_info info = SEQDB_STAT_INIT;
  (void)argc, (void)argv;
  int rc = seqdb_stat(at->db, &info);
  if (rc != SEQDB_OK) return sdb_api_done(interp, at->db, rc);
  const struct {
    const char *name;
    uint64_t value;
  } fields[] = {{"generation", info.generation},
                {"regions", info.regions},
                {"content_bytes", info.content_bytes},
                {"reserved_bytes", info.reserved_bytes},
                {"hole_bytes", info.hole_bytes},
                {"pending_bytes", info.pending_bytes},
                {"file_bytes", info.file_bytes},
                {"disk_bytes", info.disk_bytes},
                {"journal_bytes", info.journal_bytes},
                {"overlay_bytes", info.overlay_bytes},
                {"snapshots", info.snapshots},
                {"oldest_snapshot_generation", info.oldest_snapshot_generation},
                {"oldest_snapshot_age_ms", info.oldest_snapshot_age_ms},
                {"oldest_snapshot_held_bytes", info.oldest_snapshot_held_bytes},
                {"entry_disk_bytes", info.entry_disk_bytes}};
  Tcl_Obj *dict = Tcl_NewDictObj();
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
    sdb_api_put_u64(dict, fields[i].name, fields[i].value);
  Tcl_SetObjResult(interp, dict);
  return TCL_OK;
}

static int run_layout(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const kinds[] = {"?", "region", "hole", "pending", "tail"};
  sdb_api_db *at = object;
  seqdb_layout_row *rows = NULL;
  size_t count = 0;
  (void)argc, (void)argv;
  int rc = seqdb_layout(at->db, &rows, &count);
  if (rc != SEQDB_OK) return sdb_api_done(interp, at->db, rc);
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  for (size_t i = 0; i < count; i++) {
    Tcl_Obj *dict = Tcl_NewDictObj();
    sdb_api_put_u64(dict, "offset", rows[i].offset);
    sdb_api_put_u64(dict, "bytes", rows[i].bytes);
    sdb_api_put(dict, "kind", Tcl_NewStringObj(kinds[rows[i].kind < 5 ? rows[i].kind : 0], -1));
    sdb_api_put(dict, "name", rows[i].name ? sdb_api_text(rows[i].name, rows[i].name_bytes) : Tcl_NewObj());
    sdb_api_put_u64(dict, "used", rows[i].used_bytes);
    Tcl_ListObjAppendElement(NULL, list, dict);
  }
  seqdb_free(rows);
  Tcl_SetObjResult(interp, list);
  return TCL_OK;
}

static int run_changed(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  seqdb_region region;
  if (argc == 0) {
    Tcl_SetObjResult(interp, Tcl_NewIntObj(seqdb_has_changes(at->db)));
    return TCL_OK;
  }
  if (sdb_api_region(interp, at->db, seqdb_own_view(at->db), argv[0], &region) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, Tcl_NewIntObj(seqdb_region_changed(at->db, region)));
  return TCL_OK;
}

static int run_readonly(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  seqdb_error error = SEQDB_ERROR_INIT;
  (void)argc, (void)argv;
  int yes = seqdb_is_readonly(at->db, &error);
  Tcl_Obj *words[] = {Tcl_NewIntObj(yes), yes ? sdb_api_text(error.message, strlen(error.message)) : Tcl_NewObj()};
  Tcl_SetObjResult(interp, Tcl_NewListObj(2, words));
  return TCL_OK;
}

static int run_uuid(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint8_t uuid[16] = {0};
  (void)argc, (void)argv;
  seqdb_get_uuid(at->db, uuid);
  Tcl_SetObjResult(interp, Tcl_NewByteArrayObj(uuid, sizeof uuid));
  return TCL_OK;
}

static int run_error(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  seqdb_error error = SEQDB_ERROR_INIT;
  (void)argc, (void)argv;
  seqdb_get_error(at->db, &error);
  if (strcmp(seqdb_errmsg(at->db), error.message) != 0) {
    Tcl_SetObjResult(interp, Tcl_ObjPrintf("errmsg says: %s", seqdb_errmsg(at->db)));
    return TCL_ERROR;
  }
  Tcl_Obj *dict = Tcl_NewDictObj();
  sdb_api_put(dict, "code", Tcl_NewStringObj(sdb_api_code_name(error.code), -1));
  sdb_api_put(dict, "errno", Tcl_NewStringObj(sdb_test_errno_name(error.os_errno), -1));
  sdb_api_put(dict, "operation", Tcl_NewStringObj(error.operation, -1));
  sdb_api_put(dict, "file", Tcl_NewStringObj(error.file, -1));
  sdb_api_put_u64(dict, "offset", error.offset);
  sdb_api_put(dict, "message", sdb_api_text(error.message, strlen(error.message)));
  Tcl_SetObjResult(interp, dict);
  return TCL_OK;
}

static int run_timeout(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint64_t ms;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &ms) != TCL_OK) return TCL_ERROR;
  seqdb_set_busy_timeout(at->db, (uint32_t)ms);
  return TCL_OK;
}

static int interrupt(void *context) {
  sdb_api_db *at = context;
  if (at->script != NULL && Tcl_EvalObjEx(at->interp, at->script, TCL_EVAL_GLOBAL) != TCL_OK) return 1;
  if (at->calls_until_interrupt > 0) at->calls_until_interrupt--;
  return at->calls_until_interrupt == 0;
}

static int run_interrupt(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  Tcl_WideInt calls;
  if (at->script != NULL) Tcl_DecrRefCount(at->script);
  at->interp = interp;
  at->script = argc > 1 ? argv[1] : NULL;
  if (argc > 1) Tcl_IncrRefCount(argv[1]);
  if (Tcl_GetWideIntFromObj(interp, argv[0], &calls) != TCL_OK) return TCL_ERROR;
  at->calls_until_interrupt = calls;
  seqdb_set_interrupt(at->db, calls >= 0 || argc > 1 ? interrupt : NULL, at);
  return TCL_OK;
}

const sdb_api_sub sdb_api_upkeep_subs[] = {{"changed", 0, 1, "?region?", run_changed},
                                           {"check", 0, 0, NULL, run_check},
                                           {"checkpoint", 0, 0, NULL, run_checkpoint},
                                           {"compact", 0, 0, NULL, run_compact},
                                           {"compact_step", 1, 1, "variable", run_compact_step},
                                           {"backup", 1, 1, "directory", run_backup},
                                           {"error", 0, 0, NULL, run_error},
                                           {"interrupt", 1, 2, "calls ?script?", run_interrupt},
                                           {"layout", 0, 0, NULL, run_layout},
                                           {"readonly", 0, 0, NULL, run_readonly},
                                           {"stat", 0, 0, NULL, run_stat},
                                           {"snapshots", 0, 0, NULL, run_snapshots},
                                           {"timeout", 1, 1, "ms", run_timeout},
                                           {"uuid", 0, 0, NULL, run_uuid},
                                           {"wait", 2, 2, "generation ms", run_wait},
                                           {NULL, 0, 0, NULL, NULL}};
