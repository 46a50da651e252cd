/* SPDX-License-Identifier: MIT
**
** api.c: the engine's C API as Tcl commands, one to one: a handle is a command.
**
**   sdb_open NAME DIRECTORY ?-create BOOL -readonly BOOL -sync full|off -mmap BOOL -adopt BOOL -resolve keep|drop
**            -minsize BYTES -timeout MS -coordinator TEXT -exclusive BOOL -immutable BOOL?
**   NAME create REGIONNAME                -> region number; "NAME created R" is 1 if the last create made it
**   NAME append R DATA                    -> offset
**   NAME write R OFFSET DATA | truncate R LENGTH | truncate_write R OFFSET DATA | set_length R LENGTH
**   NAME reserve R BYTES                  -> reserved bytes
**   NAME rename R NEWNAME | remove R
**   NAME retain {REGIONNAME ...}          -> number removed
**   NAME flush                            -> generation
**   NAME prepare                          -> {token GENERATION}
**   NAME publish | rollback | savepoint N | release N | rollback_to N
**   NAME fill R BYTES PIECE ?BYTE?        appends BYTES bytes of value BYTE (0) in pieces of PIECE bytes
**   NAME close
** Reading (find, info, list, ... and snapshot) is in engine/api_read.c, upkeep (compact, check, ...) in
** engine/api_upkeep.c, workloads of several threads in engine/api_threads.c.
**
** R is a region's number or its name.  An error has the engine's message and the error code
** {SEQDB CODE ERRNO FILE OFFSET}, such as {SEQDB RANGE OK log 50}.
** THREADS: the interpreter's.
*/
#include "engine/api.h"

#include <stdlib.h>
#include "lib/testfixture.h"

/* ---- errors ------------------------------------------------------------------------------------------------ */

const char *sdb_api_code_name(int code) {
  static const char *const names[] = {"OK",       "NOTFOUND", "EXISTS",      "INVALID",  "RANGE",  "READONLY",
                                      "BUSY",     "LOCKED",   "FULL",        "IO",       "NOMEM",  "CORRUPT",
                                      "POISONED", "VERSION",  "INTERRUPTED", "CANTOPEN", "MISUSE", "GAP"};
  int at = -code;
  if (code == SEQDB_DONE) return "DONE";
  if (code == SEQDB_COPY) return "COPY";
  return at >= 0 && at < (int)(sizeof names / sizeof names[0]) ? names[at] : "UNKNOWN";
}

int sdb_api_result(Tcl_Interp *interp, int rc, const seqdb_error *error) {
  if (rc >= 0) return TCL_OK;
  Tcl_Obj *code = Tcl_NewListObj(0, NULL);
  Tcl_ListObjAppendElement(NULL, code, Tcl_NewStringObj("SEQDB", -1));
  Tcl_ListObjAppendElement(NULL, code, Tcl_NewStringObj(sdb_api_code_name(rc), -1));
  Tcl_ListObjAppendElement(NULL, code, Tcl_NewStringObj(sdb_test_errno_name(error->os_errno), -1));
  Tcl_ListObjAppendElement(NULL, code, Tcl_NewStringObj(error->file, -1));
  Tcl_ListObjAppendElement(NULL, code, sdb_test_wide(error->offset));
  Tcl_SetObjErrorCode(interp, code);
  if (error->code != rc) {
    Tcl_SetObjResult(interp, Tcl_ObjPrintf("the call returned %s, the error record says %s: %s", sdb_api_code_name(rc),
                                           sdb_api_code_name(error->code), error->message));
  } else {
    Tcl_SetObjResult(interp, sdb_api_text(error->message, strlen(error->message)));
  }
  return TCL_ERROR;
}

int sdb_api_done(Tcl_Interp *interp, seqdb *db, int rc) {
  seqdb_error error = SEQDB_ERROR_INIT;
  if (rc >= 0) return TCL_OK;
  seqdb_get_error(db, &error);
  return sdb_api_result(interp, rc, &error);
}

/* ---- words ------------------------------------------------------------------------------------------------- */

Tcl_Obj *sdb_api_text(const char *utf8, size_t bytes) {
  Tcl_DString space;
  Tcl_Encoding encoding = Tcl_GetEncoding(NULL, "utf-8");
  Tcl_ExternalToUtfDString(encoding, utf8, (int)bytes, &space);
  Tcl_Obj *text = Tcl_NewStringObj(Tcl_DStringValue(&space), Tcl_DStringLength(&space));
  Tcl_DStringFree(&space);
  Tcl_FreeEncoding(encoding);
  return text;
}

const char *sdb_api_name(Tcl_Obj *word, size_t *bytes, Tcl_DString *space) {
  int count;
  Tcl_DStringInit(space);
  if (word->typePtr != NULL && word->typePtr == Tcl_GetObjType("bytearray")) {
    const char *name = (const char *)Tcl_GetByteArrayFromObj(word, &count);
    *bytes = (size_t)count;
    return name;
  }
  const char *text = Tcl_GetStringFromObj(word, &count);
  Tcl_Encoding encoding = Tcl_GetEncoding(NULL, "utf-8");
  Tcl_UtfToExternalDString(encoding, text, count, space);
  Tcl_FreeEncoding(encoding);
  *bytes = (size_t)Tcl_DStringLength(space);
  return Tcl_DStringValue(space);
}

int sdb_api_region(Tcl_Interp *interp, seqdb *db, seqdb_view *view, Tcl_Obj *word, seqdb_region *region) {
  Tcl_DString space;
  size_t bytes;
  if (sdb_test_u64(NULL, word, region) == TCL_OK) return TCL_OK;
  const char *name = sdb_api_name(word, &bytes, &space);
  int rc = seqdb_find(view, name, bytes, region);
  Tcl_DStringFree(&space);
  return sdb_api_done(interp, db, rc);
}

static int own_region(sdb_api_db *at, Tcl_Interp *interp, Tcl_Obj *word, seqdb_region *region) {
  return sdb_api_region(interp, at->db, seqdb_own_view(at->db), word, region);
}

void sdb_api_put(Tcl_Obj *dict, const char *key, Tcl_Obj *value) {
  Tcl_DictObjPut(NULL, dict, Tcl_NewStringObj(key, -1), value);
}

void sdb_api_put_u64(Tcl_Obj *dict, const char *key, uint64_t value) {
  sdb_api_put(dict, key, sdb_test_wide(value));
}

static int result_u64(sdb_api_db *at, Tcl_Interp *interp, int rc, uint64_t value) {
  if (rc >= 0) Tcl_SetObjResult(interp, sdb_test_wide(value));
  return sdb_api_done(interp, at->db, rc);
}

int sdb_api_dispatch(const sdb_api_sub *subs, void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  const sdb_api_sub *sub = subs;
  while (sub->name != NULL && strcmp(sub->name, Tcl_GetString(argv[1])) != 0)
    sub++;
  if (sub->name == NULL) return TCL_CONTINUE;
  if (argc - 2 < sub->args_min || (sub->args_max >= 0 && argc - 2 > sub->args_max)) {
    Tcl_WrongNumArgs(interp, 2, argv, sub->usage);
    return TCL_ERROR;
  }
  Tcl_ResetResult(interp);
  return sub->run(object, interp, argc - 2, argv + 2);
}

/* ---- changes ----------------------------------------------------------------------------------------------- */

static int created_last;

static int run_create(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  Tcl_DString space;
  size_t bytes;
  seqdb_region region = 0;
  (void)argc;
  const char *name = sdb_api_name(argv[0], &bytes, &space);
  int rc = seqdb_find_or_create(at->db, name, bytes, &region, &created_last);
  Tcl_DStringFree(&space);
  return result_u64(at, interp, rc, region);
}

static int run_create_at(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  Tcl_DString space;
  Tcl_WideInt index;
  size_t bytes;
  seqdb_region region = 0;
  (void)argc;
  if (Tcl_GetWideIntFromObj(interp, argv[0], &index) != TCL_OK) return TCL_ERROR;
  const char *name = sdb_api_name(argv[1], &bytes, &space);
  int rc = seqdb_create_at(at->db, (uint32_t)index, name, bytes, &region);
  Tcl_DStringFree(&space);
  return result_u64(at, interp, rc, region);
}

static int run_created(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)object, (void)argc, (void)argv;
  Tcl_SetObjResult(interp, Tcl_NewIntObj(created_last));
  return TCL_OK;
}

static int run_append(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  seqdb_region region;
  uint64_t offset = 0;
  int bytes;
  (void)argc;
  if (own_region(at, interp, argv[0], &region) != TCL_OK) return TCL_ERROR;
  const void *data = Tcl_GetByteArrayFromObj(argv[1], &bytes);
  int rc = seqdb_append(at->db, region, data, (size_t)bytes, &offset);
  return result_u64(at, interp, rc, offset);
}

typedef int write_function(seqdb *db, seqdb_region region, uint64_t offset, const void *data, size_t bytes);
static int any_write(void *object, Tcl_Interp *interp, Tcl_Obj *const argv[], write_function *function) {
  sdb_api_db *at = object;
  seqdb_region region;
  uint64_t offset;
  int bytes;
  if (own_region(at, interp, argv[0], &region) != TCL_OK || sdb_test_u64(interp, argv[1], &offset) != TCL_OK) {
    return TCL_ERROR;
  }
  const void *data = Tcl_GetByteArrayFromObj(argv[2], &bytes);
  return sdb_api_done(interp, at->db, function(at->db, region, offset, data, (size_t)bytes));
}

static int run_write(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return any_write(object, interp, argv, seqdb_write);
}

static int run_truncate_write(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return any_write(object, interp, argv, seqdb_truncate_write);
}

typedef int length_function(seqdb *db, seqdb_region region, uint64_t length);
static int any_length(void *object, Tcl_Interp *interp, Tcl_Obj *const argv[], length_function *function) {
  sdb_api_db *at = object;
  seqdb_region region;
  uint64_t length;
  if (own_region(at, interp, argv[0], &region) != TCL_OK || sdb_test_u64(interp, argv[1], &length) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_api_done(interp, at->db, function(at->db, region, length));
}

static int run_truncate(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return any_length(object, interp, argv, seqdb_truncate);
}

static int run_set_length(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return any_length(object, interp, argv, seqdb_set_length);
}

static int run_reserve(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  seqdb_region region;
  uint64_t bytes, reserved = 0;
  (void)argc;
  if (own_region(at, interp, argv[0], &region) != TCL_OK || sdb_test_u64(interp, argv[1], &bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  int rc = seqdb_reserve(at->db, region, bytes, &reserved);
  return result_u64(at, interp, rc, reserved);
}

static int run_rename(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  seqdb_region region;
  Tcl_DString space;
  size_t bytes;
  (void)argc;
  if (own_region(at, interp, argv[0], &region) != TCL_OK) return TCL_ERROR;
  const char *name = sdb_api_name(argv[1], &bytes, &space);
  int rc = seqdb_rename(at->db, region, name, bytes);
  Tcl_DStringFree(&space);
  return sdb_api_done(interp, at->db, rc);
}

static int run_remove(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  seqdb_region region;
  (void)argc;
  if (own_region(at, interp, argv[0], &region) != TCL_OK) return TCL_ERROR;
  return sdb_api_done(interp, at->db, seqdb_remove(at->db, region));
}

static int run_retain(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint64_t removed = 0;
  int count;
  Tcl_Obj **words;
  (void)argc;
  if (Tcl_ListObjGetElements(interp, argv[0], &count, &words) != TCL_OK) return TCL_ERROR;
  size_t n = (size_t)count;
  Tcl_DString *spaces = (Tcl_DString *)ckalloc((unsigned)((n + 1) * sizeof *spaces));
  const char **names = (const char **)ckalloc((unsigned)((n + 1) * sizeof *names));
  size_t *bytes = (size_t *)ckalloc((unsigned)((n + 1) * sizeof *bytes));
  for (size_t i = 0; i < n; i++)
    names[i] = sdb_api_name(words[i], &bytes[i], &spaces[i]);
  int rc = seqdb_retain(at->db, names, bytes, n, &removed);
  for (size_t i = 0; i < n; i++)
    Tcl_DStringFree(&spaces[i]);
  ckfree((char *)spaces);
  ckfree((char *)names);
  ckfree((char *)bytes);
  return result_u64(at, interp, rc, removed);
}

/* Large contents without carrying them through Tcl. */
static int run_fill(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  seqdb_region region;
  uint64_t total, piece, byte = 0;
  if (own_region(at, interp, argv[0], &region) != TCL_OK || sdb_test_u64(interp, argv[1], &total) != TCL_OK ||
      sdb_test_u64(interp, argv[2], &piece) != TCL_OK ||
      (argc == 4 && sdb_test_u64(interp, argv[3], &byte) != TCL_OK) || piece == 0) {
    return TCL_ERROR;
  }
  uint8_t *data = malloc((size_t)piece);
  int rc = data == NULL ? SEQDB_NOMEM : SEQDB_OK;
  if (data != NULL) memset(data, (int)(byte & 255), (size_t)piece);
  for (uint64_t done = 0; done < total && rc == SEQDB_OK; done += piece) {
    size_t bytes = (size_t)(total - done < piece ? total - done : piece);
    rc = seqdb_append(at->db, region, data, bytes, NULL);
  }
  free(data);
  return sdb_api_done(interp, at->db, rc);
}

/* ---- transaction ------------------------------------------------------------------------------------------- */

static int run_flush(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint64_t generation = 0;
  (void)argc, (void)argv;
  int rc = seqdb_flush(at->db, &generation);
  return result_u64(at, interp, rc, generation);
}

static int run_prepare(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  uint8_t token[SEQDB_TOKEN_BYTES] = {0};
  uint64_t generation = 0;
  (void)argc, (void)argv;
  int rc = seqdb_prepare(at->db, token, &generation);
  if (rc == SEQDB_OK) {
    Tcl_Obj *words[] = {Tcl_NewByteArrayObj(token, sizeof token), sdb_test_wide(generation)};
    Tcl_SetObjResult(interp, Tcl_NewListObj(2, words));
  }
  return sdb_api_done(interp, at->db, rc);
}

static int run_publish(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  (void)interp, (void)argc, (void)argv;
  seqdb_publish(at->db);
  return TCL_OK;
}

static int run_rollback(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  (void)argc, (void)argv;
  return sdb_api_done(interp, at->db, seqdb_rollback(at->db));
}

typedef int level_function(seqdb *db, int level);
static int any_level(void *object, Tcl_Interp *interp, Tcl_Obj *const argv[], level_function *function) {
  sdb_api_db *at = object;
  int level;
  if (Tcl_GetIntFromObj(interp, argv[0], &level) != TCL_OK) return TCL_ERROR;
  return sdb_api_done(interp, at->db, function(at->db, level));
}

static int run_savepoint(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return any_level(object, interp, argv, seqdb_savepoint);
}

static int run_release(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return any_level(object, interp, argv, seqdb_release);
}

static int run_rollback_to(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return any_level(object, interp, argv, seqdb_rollback_to);
}

/* ---- handles ----------------------------------------------------------------------------------------------- */

static int run_close(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = object;
  (void)argc, (void)argv;
  Tcl_DeleteCommandFromToken(interp, at->command);
  return TCL_OK;
}

static const sdb_api_sub change_subs[] = {{"append", 2, 2, "region data", run_append},
                                          {"close", 0, 0, NULL, run_close},
                                          {"create", 1, 1, "name", run_create},
                                          {"create_at", 2, 2, "index name", run_create_at},
                                          {"created", 0, 0, NULL, run_created},
                                          {"fill", 3, 4, "region bytes piece ?byte?", run_fill},
                                          {"flush", 0, 0, NULL, run_flush},
                                          {"prepare", 0, 0, NULL, run_prepare},
                                          {"publish", 0, 0, NULL, run_publish},
                                          {"release", 1, 1, "level", run_release},
                                          {"remove", 1, 1, "region", run_remove},
                                          {"rename", 2, 2, "region name", run_rename},
                                          {"reserve", 2, 2, "region bytes", run_reserve},
                                          {"retain", 1, 1, "names", run_retain},
                                          {"rollback", 0, 0, NULL, run_rollback},
                                          {"rollback_to", 1, 1, "level", run_rollback_to},
                                          {"savepoint", 1, 1, "level", run_savepoint},
                                          {"set_length", 2, 2, "region length", run_set_length},
                                          {"snapshot", 1, 1, "name", sdb_api_snapshot_command},
                                          {"truncate", 2, 2, "region length", run_truncate},
                                          {"truncate_write", 3, 3, "region offset data", run_truncate_write},
                                          {"write", 3, 3, "region offset data", run_write},
                                          {NULL, 0, 0, NULL, NULL}};

static int handle_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *at = data;
  if (argc < 2) {
    Tcl_WrongNumArgs(interp, 1, argv, "subcommand ?arg ...?");
    return TCL_ERROR;
  }
  int code = sdb_api_dispatch(change_subs, at, interp, argc, argv);
  if (code != TCL_CONTINUE) return code;
  sdb_api_view view = {at->db, seqdb_own_view(at->db)};
  code = sdb_api_dispatch(sdb_api_view_subs, &view, interp, argc, argv);
  if (code != TCL_CONTINUE) return code;
  code = sdb_api_dispatch(sdb_api_upkeep_subs, at, interp, argc, argv);
  if (code == TCL_CONTINUE) code = sdb_api_dispatch(sdb_api_changes_subs, at, interp, argc, argv);
  if (code != TCL_CONTINUE) return code;
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("no such subcommand: %s", Tcl_GetString(argv[1])));
  return TCL_ERROR;
}

static void handle_gone(ClientData data) {
  sdb_api_db *at = data;
  seqdb_close(at->db);
  if (at->script != NULL) Tcl_DecrRefCount(at->script);
  ckfree((char *)at);
}

sdb_api_db *sdb_api_handle(Tcl_Interp *interp, Tcl_Obj *word) {
  Tcl_CmdInfo info;
  if (Tcl_GetCommandInfo(interp, Tcl_GetString(word), &info) && info.objProc == handle_command)
    return info.objClientData;
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("no handle: %s", Tcl_GetString(word)));
  return NULL;
}

/* ---- open -------------------------------------------------------------------------------------------------- */

static int flag_option(Tcl_Interp *interp, Tcl_Obj *value, unsigned flag, int meaning, unsigned *flags) {
  int on;
  if (Tcl_GetBooleanFromObj(interp, value, &on) != TCL_OK) return TCL_ERROR;
  if ((on != 0) == (meaning != 0)) *flags |= flag;
  return TCL_OK;
}

static int word_option(Tcl_Interp *interp, Tcl_Obj *value, const char *const words[], unsigned first, unsigned second,
                       unsigned *flags) {
  int which;
  if (Tcl_GetIndexFromObj(interp, value, words, "value", TCL_EXACT, &which) != TCL_OK) return TCL_ERROR;
  *flags |= which == 0 ? first : second;
  return TCL_OK;
}

/* How often it still says no; then yes. */
static int64_t opening_calls;
static int opening_interrupt(void *context) {
  (void)context;
  return opening_calls-- <= 0;
}

static int open_option(Tcl_Interp *interp, Tcl_Obj *word, Tcl_Obj *value, seqdb_options *options) {
  static const char *const names[] = {"-adopt",     "-coordinator", "-create",  "-exclusive", "-immutable",
                                      "-interrupt", "-minsize",     "-mmap",    "-mode",      "-readonly",
                                      "-resolve",   "-sync",        "-timeout", NULL};
  enum {
    ADOPT,
    COORDINATOR,
    CREATE,
    EXCLUSIVE,
    IMMUTABLE,
    INTERRUPT,
    MINSIZE,
    MMAP,
    MODE,
    READONLY,
    RESOLVE,
    SYNC,
    TIMEOUT
  };
  static const char *const syncs[] = {"full", "off", NULL}, *const resolves[] = {"keep", "drop", NULL};
  uint64_t number = 0;
  int which, code;
  if (Tcl_GetIndexFromObj(interp, word, names, "option", TCL_EXACT, &which) != TCL_OK) return TCL_ERROR;
  switch (which) {
    case ADOPT:
      return flag_option(interp, value, SEQDB_OPEN_ADOPT, 1, &options->flags);
    case COORDINATOR:
      options->coordinator = Tcl_GetString(value);
      return TCL_OK;
    case CREATE:
      return flag_option(interp, value, SEQDB_OPEN_CREATE, 1, &options->flags);
    case EXCLUSIVE:
      return flag_option(interp, value, SEQDB_OPEN_EXCLUSIVE, 1, &options->flags);
    case IMMUTABLE:
      return flag_option(interp, value, SEQDB_OPEN_IMMUTABLE, 1, &options->flags);
    case MMAP:
      return flag_option(interp, value, SEQDB_OPEN_NO_MMAP, 0, &options->flags);
    case READONLY:
      return flag_option(interp, value, SEQDB_OPEN_READONLY, 1, &options->flags);
    case RESOLVE:
      return word_option(interp, value, resolves, SEQDB_OPEN_RESOLVE_KEEP, SEQDB_OPEN_RESOLVE_DROP, &options->flags);
    case SYNC:
      return word_option(interp, value, syncs, 0, SEQDB_OPEN_SYNC_OFF, &options->flags);
  }
  code = sdb_test_u64(interp, value, &number);
  if (which == INTERRUPT) {
    opening_calls = (int64_t)number;
    options->interrupt = opening_interrupt;
  }
  if (which == MODE) options->mode = (uint32_t)number;
  if (which == MINSIZE) options->min_size_bytes = number;
  if (which == TIMEOUT) options->busy_timeout_ms = (uint32_t)number;
  return code;
}

static int open_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  seqdb_options options = SEQDB_OPTIONS_INIT;
  seqdb_error error = SEQDB_ERROR_INIT;
  seqdb *db = NULL;
  (void)data;
  if (argc < 3 || argc % 2 == 0) {
    Tcl_WrongNumArgs(interp, 1, argv, "name directory ?option value ...?");
    return TCL_ERROR;
  }
  for (int i = 3; i < argc; i += 2) {
    if (open_option(interp, argv[i], argv[i + 1], &options) != TCL_OK) return TCL_ERROR;
  }
  int rc = seqdb_open(Tcl_GetString(argv[2]), &options, &error, &db);
  if (rc != SEQDB_OK) return sdb_api_result(interp, rc, &error);
  sdb_api_db *at = (sdb_api_db *)ckalloc(sizeof *at);
  *at = (sdb_api_db){.db = db, .calls_until_interrupt = -1};
  at->command = Tcl_CreateObjCommand(interp, Tcl_GetString(argv[1]), handle_command, at, handle_gone);
  Tcl_SetObjResult(interp, argv[1]);
  return TCL_OK;
}

int sdb_test_api_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_open", open_command, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_at", sdb_api_at_command, NULL, NULL);
  sdb_api_threads_init(interp);
  return TCL_OK;
}
