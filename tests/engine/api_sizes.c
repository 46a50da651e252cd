/* SPDX-License-Identifier: MIT
**
** api_sizes.c: structures of callers that know more or less than this library, and output parameters after errors.
**
**   sdb_sizes DIRECTORY     makes a database there -> the list of what is not as the header says, empty if all is well
**
** THREADS: the interpreter's.
*/
#include "engine/api.h"

#include <stdbool.h>
#include <string.h>
#include "lib/testfixture.h"

static Tcl_Obj *wrong;

static void demand(bool holds, const char *what) {
  if (!holds) Tcl_ListObjAppendElement(NULL, wrong, Tcl_NewStringObj(what, -1));
}

/* All bytes of it are 0xAA still: nothing was written. */
static bool untouched(const void *bytes, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (((const uint8_t *)bytes)[i] != 0xAA) return false;
  return true;
}
#define MARK(variable)      memset(&(variable), 0xAA, sizeof(variable))
#define UNTOUCHED(variable) untouched(&(variable), sizeof(variable))

/* ---- sizes ---- */

typedef struct later_options {
  seqdb_options now;
  uint64_t later;
} later_options;

static int open_with(const char *directory, const seqdb_options *options, seqdb_error *error) {
  seqdb *db = NULL;
  int rc = seqdb_open(directory, options, error, &db);
  if (rc == SEQDB_OK) seqdb_close(db);
  return rc;
}

static void sizes_of_options(const char *directory) {
  later_options later = {.now = {.size_bytes = sizeof later, .flags = SEQDB_OPEN_CREATE}};
  seqdb_error error = SEQDB_ERROR_INIT;
  demand(open_with(directory, &later.now, &error) == SEQDB_OK, "longer options whose end is zero are taken");
  later.later = 1;
  demand(open_with(directory, &later.now, &error) == SEQDB_INVALID && strstr(error.message, "does not know"),
         "an option that is not known is refused");
  static const uint32_t sizes[] = {0, 1, (uint32_t)(sizeof(seqdb_options) / 2), UINT32_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    seqdb_options options = {.size_bytes = sizes[i], .flags = SEQDB_OPEN_CREATE};
    demand(open_with(directory, &options, &error) == SEQDB_INVALID && strstr(error.message, "SEQDB_OPTIONS_INIT"),
           "options of a wrong size are refused, and the message tells the way out");
  }
}

static void sizes_of_errors(const char *missing, seqdb *db) {
  struct {
    seqdb_error now;
    uint64_t later;
  } record;
  MARK(record);
  record.now.size_bytes = sizeof record;
  demand(open_with(missing, NULL, &record.now) == SEQDB_CANTOPEN && record.now.code == SEQDB_CANTOPEN &&
             record.later == 0 && record.now.size_bytes == sizeof record,
         "a longer record is filled, its end with zeros, its size stays");
  demand(seqdb_get_error(db, &record.now) == SEQDB_OK && record.now.code == SEQDB_OK, "no error yet: code 0");
  MARK(record);
  record.now.size_bytes = 0;
  demand(open_with(missing, NULL, &record.now) == SEQDB_INVALID &&
             untouched(&record.now.code, sizeof record - offsetof(seqdb_error, code)),
         "a record without a size is refused and not touched");
  demand(seqdb_get_error(db, &record.now) == SEQDB_INVALID &&
             untouched(&record.now.code, sizeof record - offsetof(seqdb_error, code)),
         "also by seqdb_get_error()");
  demand(seqdb_is_readonly(db, &record.now) == SEQDB_INVALID, "and by seqdb_is_readonly()");
}

static void sizes_of_figures(seqdb *db) {
  struct {
    seqdb_stat_info now;
    uint64_t later;
  } figures;
  MARK(figures);
  figures.now.size_bytes = sizeof figures;
  demand(seqdb_stat(db, &figures.now) == SEQDB_OK && figures.now.regions == 1 && figures.later == 0,
         "longer figures are filled, their end with zeros");
  MARK(figures);
  figures.now.size_bytes = 8;
  demand(seqdb_stat(db, &figures.now) == SEQDB_INVALID && strstr(seqdb_errmsg(db), "SEQDB_STAT_INIT") &&
             untouched(&figures.now.generation, sizeof figures - offsetof(seqdb_stat_info, generation)),
         "figures of a wrong size are refused and not touched");
}

/* ---- outputs after errors ---- */

static void outputs_of_changes(seqdb *db, seqdb_region gone) {
  seqdb_region region;
  int created;
  uint64_t number, cursor = 0;
  seqdb_compact_step_info step;
  MARK(region);
  MARK(created);
  MARK(number);
  MARK(step);
  demand(seqdb_find_or_create(db, "", 0, &region, &created) == SEQDB_INVALID && UNTOUCHED(region) && UNTOUCHED(created),
         "find_or_create");
  demand(seqdb_append(db, gone, "x", 1, &number) == SEQDB_NOTFOUND && UNTOUCHED(number), "append");
  demand(seqdb_reserve(db, gone, 1, &number) == SEQDB_NOTFOUND && UNTOUCHED(number), "reserve");
  demand(seqdb_find_or_create(db, "changed", 7, &region, NULL) == SEQDB_OK, "a change");
  demand(seqdb_compact(db, &number) == SEQDB_LOCKED && UNTOUCHED(number), "compact");
  demand(seqdb_compact_step(db, &cursor, &step) == SEQDB_LOCKED && cursor == 0 && UNTOUCHED(step), "compact_step");
  demand(seqdb_rollback(db) == SEQDB_OK, "rollback");
}

static void outputs_of_reads(seqdb_view *view, seqdb_region region, seqdb_region gone) {
  seqdb_region found;
  seqdb_region_info info;
  size_t count;
  const void *address;
  char byte;
  MARK(found);
  MARK(info);
  MARK(count);
  MARK(address);
  demand(seqdb_find(view, "none", 4, &found) == SEQDB_NOTFOUND && UNTOUCHED(found), "find");
  demand(seqdb_get_info(view, gone, &info) == SEQDB_NOTFOUND && UNTOUCHED(info), "get_info");
  demand(seqdb_iterate(view, 1000, &info) == SEQDB_DONE && UNTOUCHED(info), "iterate");
  demand(seqdb_iterate_many(view, 1000, &info, 1, &count) == SEQDB_DONE && UNTOUCHED(count), "iterate_many");
  demand(seqdb_read(view, gone, 0, 1, &address) != SEQDB_OK && UNTOUCHED(address), "read");
  demand(seqdb_read(view, region, 0, 100, &address) != SEQDB_OK && UNTOUCHED(address), "read past the end");
  demand(seqdb_read_copy(view, gone, 0, &byte, 1, &count) == SEQDB_NOTFOUND && UNTOUCHED(count), "read_copy");
  demand(seqdb_read_named(view, "none", 4, 0, &byte, 1, &count) == SEQDB_NOTFOUND && UNTOUCHED(count), "read_named");
}

static int sizes_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb *db = NULL;
  seqdb_region region = 0;
  seqdb_snapshot *snapshot = NULL;
  seqdb_options options = SEQDB_OPTIONS_INIT;
  (void)data;
  if (argc != 3) {
    Tcl_WrongNumArgs(interp, 1, argv, "directory missing-directory");
    return TCL_ERROR;
  }
  wrong = Tcl_NewListObj(0, NULL);
  options.flags = SEQDB_OPEN_CREATE;
  sizes_of_options(Tcl_GetString(argv[1]));
  if (seqdb_open(Tcl_GetString(argv[1]), &options, NULL, &db) != SEQDB_OK) return TCL_ERROR;
  sizes_of_errors(Tcl_GetString(argv[2]), db);
  demand(seqdb_find_or_create(db, "a", 1, &region, NULL) == SEQDB_OK && seqdb_flush(db, NULL) == SEQDB_OK, "a region");
  seqdb_region gone = region + ((uint64_t)1 << 40);
  sizes_of_figures(db);
  outputs_of_changes(db, gone);
  demand(seqdb_snapshot_open(db, &snapshot) == SEQDB_OK, "a snapshot");
  outputs_of_reads(seqdb_snapshot_view(snapshot), region, gone);
  outputs_of_reads(seqdb_own_view(db), region, gone);
  demand(seqdb_append(db, region, "x", 1, NULL) == SEQDB_OK, "an append");
  outputs_of_reads(seqdb_own_view(db), region, gone);
  seqdb_snapshot_close(snapshot);
  seqdb_close(db);
  Tcl_SetObjResult(interp, wrong);
  return TCL_OK;
}

int sdb_test_api_sizes_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_sizes", sizes_command, NULL, NULL);
  return TCL_OK;
}
