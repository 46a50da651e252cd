/* SPDX-License-Identifier: MIT
**
** api_outputs.c: output parameters of the C interface are written on success only.
**
**   sdb_outputs DIRECTORY   makes a database there, and lets each function that has output parameters fail, or tell
**                           that there is nothing -> {call code ...}; "code written" if an output was touched
**
** THREADS: the interpreter's.
*/
#include "engine/api.h"

#include <errno.h>
#include "disk/os_faults.h"
#include "lib/testfixture.h"

/* Every output that there is.  Made of no sense before a call, and compared after it. */
typedef struct outputs {
  seqdb *db;
  seqdb_snapshot *snapshot;
  seqdb_region region;
  int created;
  uint64_t number;
  uint8_t token[SEQDB_TOKEN_BYTES];
  seqdb_region_info infos[2];
  size_t count;
  const void *data;
  seqdb_layout_row *rows;
  seqdb_compact_step_info step;
  seqdb_stat_info stat;
  seqdb_error error;
} outputs;

typedef struct trial {
  seqdb *db;
  Tcl_Obj *told;
  outputs out, before;
} trial;

static outputs *prepare(trial *t) {
  memset(&t->out, 0xA5, sizeof t->out);
  t->out.stat.size_bytes = t->out.error.size_bytes = 0;
  t->before = t->out;
  return &t->out;
}

static void note(trial *t, const char *call, int rc) {
  const char *touched = memcmp(&t->out, &t->before, sizeof t->out) != 0 ? " written" : "";
  sdb_api_put(t->told, call, Tcl_ObjPrintf("%s%s", sdb_api_code_name(rc), touched));
  (void)prepare(t);
}

static void fail_from_now_on(unsigned kinds, int error) {
  sdb_fault_add(&(sdb_fault_rule){.kinds = kinds, .nth = 1, .forever = true, .error = error});
}

static void failing_reads(trial *t, seqdb_view *view, seqdb_region region, const char *prefix) {
  outputs *o = prepare(t);
  seqdb_region gone = region + ((uint64_t)1 << 40);
  char byte, call[64];
#define CALL(name) (snprintf(call, sizeof call, "%s %s", prefix, name), call)
  note(t, CALL("find"), seqdb_find(view, "none", 4, &o->region));
  note(t, CALL("get_info"), seqdb_get_info(view, gone, &o->infos[0]));
  note(t, CALL("iterate"), seqdb_iterate(view, 1000, &o->infos[0]));
  note(t, CALL("iterate_many"), seqdb_iterate_many(view, 1000, o->infos, 2, &o->count));
  note(t, CALL("read"), seqdb_read(view, gone, 0, 1, &o->data));
  note(t, CALL("read_copy"), seqdb_read_copy(view, gone, 0, &byte, 1, &o->count));
  note(t, CALL("read_named"), seqdb_read_named(view, "none", 4, 0, &byte, 1, &o->count));
#undef CALL
}

static void failing_changes(trial *t, seqdb_region region) {
  static const char *const names[] = {"none"};
  static const size_t name_bytes[] = {4};
  outputs *o = prepare(t);
  seqdb_region gone = region + ((uint64_t)1 << 40);
  note(t, "find_or_create", seqdb_find_or_create(t->db, "", 0, &o->region, &o->created));
  note(t, "append", seqdb_append(t->db, gone, "x", 1, &o->number));
  note(t, "reserve", seqdb_reserve(t->db, gone, 1, &o->number));
  fail_from_now_on(SDB_CALLS_MEMORY, ENOMEM);
  note(t, "find_or_create without memory", seqdb_find_or_create(t->db, "new", 3, &o->region, &o->created));
  note(t, "retain", seqdb_retain(t->db, names, name_bytes, 1, &o->number));
  sdb_fault_reset();
}

static void failing_commits(trial *t, seqdb_region region) {
  outputs *o = prepare(t);
  sdb_api_put(t->told, "append well",
              Tcl_NewStringObj(sdb_api_code_name(seqdb_append(t->db, region, "x", 1, NULL)), -1));
  failing_reads(t, seqdb_own_view(t->db), region, "changed:");
  note(t, "compact", seqdb_compact(t->db, &o->number));
  note(t, "compact_step", seqdb_compact_step(t->db, &o->number, &o->step));
  fail_from_now_on(SDB_CALL_BIT(SDB_CALL_PWRITE), EIO);
  note(t, "prepare", seqdb_prepare(t->db, o->token, &o->number));
  note(t, "flush", seqdb_flush(t->db, &o->number));
  sdb_fault_reset();
  seqdb_rollback(t->db);
}

/* Every step, until there is none; the last call says so. */
static void last_step(trial *t) {
  uint64_t cursor = 0;
  int rc;
  outputs *o;
  do {
    o = prepare(t);
    o->number = t->before.number = cursor;
    rc = seqdb_compact_step(t->db, &o->number, &o->step);
    cursor = o->number;
  } while (rc == SEQDB_OK);
  note(t, "compact_step, the last", rc);
}

static int always(void *context) {
  (void)context;
  return 1;
}

static void failing_upkeep(trial *t) {
  outputs *o = prepare(t);
  note(t, "stat", seqdb_stat(t->db, &o->stat));
  note(t, "get_error", seqdb_get_error(t->db, &o->error));
  note(t, "is_readonly", seqdb_is_readonly(t->db, &o->error));
  o->error.size_bytes = t->before.error.size_bytes = sizeof o->error;
  note(t, "is_readonly, which it is not", seqdb_is_readonly(t->db, &o->error));
  note(t, "open", seqdb_open("/nowhere", NULL, NULL, &o->db));
  seqdb_set_interrupt(t->db, always, NULL);
  note(t, "check", seqdb_check(t->db, NULL, NULL, &o->number));
  note(t, "compact, interrupted", seqdb_compact(t->db, &o->number));
  seqdb_set_interrupt(t->db, NULL, NULL);
  fail_from_now_on(SDB_CALLS_MEMORY, ENOMEM);
  note(t, "layout", seqdb_layout(t->db, &o->rows, &o->count));
  note(t, "snapshot_open", seqdb_snapshot_open(t->db, &o->snapshot));
  sdb_fault_reset();
}

static int outputs_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_options options = {.size_bytes = sizeof options, .flags = SEQDB_OPEN_CREATE};
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb_snapshot *snapshot = NULL;
  seqdb_region region = 0;
  trial t = {0};
  (void)data;
  if (argc != 2) {
    Tcl_WrongNumArgs(interp, 1, argv, "directory");
    return TCL_ERROR;
  }
  int rc = seqdb_open(Tcl_GetString(argv[1]), &options, &error, &t.db);
  if (rc != SEQDB_OK) return sdb_api_result(interp, rc, &error);
  t.told = Tcl_NewDictObj();
  if (seqdb_find_or_create(t.db, "a", 1, &region, NULL) == SEQDB_OK &&
      seqdb_append(t.db, region, "abc", 3, NULL) == SEQDB_OK && seqdb_flush(t.db, NULL) == SEQDB_OK &&
      seqdb_snapshot_open(t.db, &snapshot) == SEQDB_OK) {
    failing_reads(&t, seqdb_snapshot_view(snapshot), region, "snapshot:");
    failing_reads(&t, seqdb_own_view(t.db), region, "own view:");
    note(&t, "read past the end", seqdb_read(seqdb_snapshot_view(snapshot), region, 2, 2, &t.out.data));
    failing_changes(&t, region);
    failing_commits(&t, region);
    failing_upkeep(&t);
    last_step(&t);
  }
  seqdb_snapshot_close(snapshot);
  seqdb_close(t.db);
  Tcl_SetObjResult(interp, t.told);
  return TCL_OK;
}

int sdb_test_api_outputs_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_outputs", outputs_command, NULL, NULL);
  return TCL_OK;
}
