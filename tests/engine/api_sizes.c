/* SPDX-License-Identifier: MIT
**
** api_sizes.c: structures of the C interface that carry their size, of callers older and newer than the library, and of
** callers that forgot it.
**
**   sdb_sizes WHAT SIZE ?DIRECTORY?   one call with a structure that says it has SIZE bytes, or "own" for what it has,
**                                     or "own+N", "own-N" -> its code, of INVALID with the message, or what is wrong
**                                     with the bytes after it
**       WHAT is stat, error, readonly, options (zeros behind what is known), strange (they are not), open_error
**   sdb_sized KNOWN GIVEN             the engine's structure of KNOWN bytes and a caller's of GIVEN, copied out and in
**                                     -> {out BYTES in BYTES understood YES}: the bytes as hexadecimal digits
**
** THREADS: the interpreter's.
*/
#include "engine/api.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/sized.h"
#include "lib/testfixture.h"

#define ROOM_BYTES 8192u
#define STALE      0x5A

typedef struct caller {
  const char *directory;
  seqdb *db;
  uint8_t *memory;     /* ROOM_BYTES: the structure, and what lies behind it */
  uint32_t own_bytes;  /* what the library knows */
  uint32_t size_bytes; /* what the caller says */
  seqdb_error why;     /* of an open with options */
} caller;

/* ---- the calls ---- */

static int call_stat(caller *c) {
  return seqdb_stat(c->db, (seqdb_stat_info *)(void *)c->memory);
}

static int call_error(caller *c) {
  seqdb_region region;
  (void)seqdb_find(seqdb_own_view(c->db), "none", 4, &region);
  return seqdb_get_error(c->db, (seqdb_error *)(void *)c->memory);
}

static int call_readonly(caller *c) {
  return seqdb_is_readonly(c->db, (seqdb_error *)(void *)c->memory);
}

static int open_and_close(const char *directory, const seqdb_options *options, seqdb_error *error) {
  seqdb *db = NULL;
  int rc = seqdb_open(directory, options, error, &db);
  seqdb_close(db);
  return rc;
}

/* All but its size. */
static void zero_members(seqdb_options *options) {
  uint32_t size_bytes = options->size_bytes;
  memset(options, 0, sizeof *options);
  options->size_bytes = size_bytes;
  options->flags = SEQDB_OPEN_READONLY;
}

static int call_options(caller *c) {
  seqdb_options *options = (seqdb_options *)(void *)c->memory;
  size_t known = sizeof *options;
  zero_members(options);
  memset(c->memory + known, 0, ROOM_BYTES - known);
  return open_and_close(c->directory, options, &c->why);
}

static int call_strange(caller *c) {
  seqdb_options *options = (seqdb_options *)(void *)c->memory;
  zero_members(options);
  return open_and_close(c->directory, options, &c->why);
}

static int call_open_error(caller *c) {
  return open_and_close("/nowhere", NULL, (seqdb_error *)(void *)c->memory);
}

static const struct {
  const char *name;
  int (*call)(caller *c);
  size_t own_bytes;
  bool fills; /* the structure is an output */
} whats[] = {{"error", call_error, sizeof(seqdb_error), true},
             {"open_error", call_open_error, sizeof(seqdb_error), true},
             {"options", call_options, sizeof(seqdb_options), false},
             {"readonly", call_readonly, sizeof(seqdb_error), true},
             {"stat", call_stat, sizeof(seqdb_stat_info), true},
             {"strange", call_strange, sizeof(seqdb_options), false},
             {NULL, NULL, 0, false}};

/* ---- what is to be seen after them ---- */

static size_t count_of(const uint8_t *memory, size_t from, size_t to, uint8_t byte) {
  size_t count = 0;
  for (size_t i = from; i < to; i++)
    count += memory[i] == byte;
  return count;
}

/* NULL if the structure was filled as far as it goes, and nothing else was. */
static const char *wrong_with(const caller *c, bool filled) {
  size_t size = filled ? c->size_bytes : sizeof c->size_bytes, known = SDB_MIN(size, c->own_bytes);
  uint32_t says;
  memcpy(&says, c->memory, sizeof says);
  if (says != c->size_bytes) return "size_bytes has changed";
  if (count_of(c->memory, size, ROOM_BYTES, STALE) != ROOM_BYTES - size) return "bytes beyond the size have changed";
  if (count_of(c->memory, known, size, 0) != size - known) return "what only the caller knows is not zero";
  if (filled && count_of(c->memory, sizeof says, known, STALE) == known - sizeof says) return "nothing was filled";
  return NULL;
}

/* The message of what is INVALID, where there is a record for it. */
static const char *message_of(caller *c, const char *what) {
  if (strcmp(what, "stat") == 0 || strcmp(what, "readonly") == 0) return seqdb_errmsg(c->db);
  return c->why.message[0] ? c->why.message : "";
}

/* SIZE, "own", "own+N" or "own-N". */
static uint32_t size_of(const char *word, size_t own_bytes) {
  if (strncmp(word, "own", 3) == 0) return (uint32_t)own_bytes + (uint32_t)strtol(word + 3, NULL, 10);
  return (uint32_t)strtoul(word, NULL, 10);
}

static int sizes_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  caller c = {.why = SEQDB_ERROR_INIT};
  int at, rc = SEQDB_OK;
  (void)data;
  if (argc != 4 || Tcl_GetIndexFromObjStruct(interp, argv[1], whats, sizeof whats[0], "what", 0, &at) != TCL_OK) {
    if (argc != 4) Tcl_WrongNumArgs(interp, 1, argv, "what size directory");
    return TCL_ERROR;
  }
  c.directory = Tcl_GetString(argv[3]);
  c.own_bytes = (uint32_t)whats[at].own_bytes;
  c.size_bytes = size_of(Tcl_GetString(argv[2]), whats[at].own_bytes);
  const seqdb_options reading = {.size_bytes = sizeof reading, .flags = SEQDB_OPEN_READONLY};
  seqdb_error error = SEQDB_ERROR_INIT;
  if ((rc = seqdb_open(c.directory, &reading, &error, &c.db)) != SEQDB_OK) return sdb_api_result(interp, rc, &error);
  if ((c.memory = malloc(ROOM_BYTES)) == NULL) abort();
  memset(c.memory, STALE, ROOM_BYTES);
  memcpy(c.memory, &c.size_bytes, sizeof c.size_bytes);
  rc = whats[at].call(&c);
  const char *wrong = whats[at].fills ? wrong_with(&c, rc != SEQDB_INVALID) : NULL;
  if (wrong)
    Tcl_SetObjResult(interp, Tcl_NewStringObj(wrong, -1));
  else if (rc == SEQDB_INVALID)
    Tcl_SetObjResult(interp, Tcl_ObjPrintf("INVALID%s%s", *message_of(&c, whats[at].name) ? ": " : "",
                                           message_of(&c, whats[at].name)));
  else
    Tcl_SetObjResult(interp, Tcl_NewStringObj(rc == 1 ? "1" : sdb_api_code_name(rc), -1));
  free(c.memory);
  seqdb_close(c.db);
  return TCL_OK;
}

/* ---- copying between versions ---- */

static Tcl_Obj *digits(const uint8_t *memory, size_t bytes) {
  Tcl_Obj *text = Tcl_NewObj();
  for (size_t i = 0; i < bytes; i++)
    Tcl_AppendPrintfToObj(text, "%x", memory[i]);
  return text;
}

static int sized_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t known, given;
  uint8_t engine[64], theirs[64], told[64];
  (void)data;
  if (argc != 3) {
    Tcl_WrongNumArgs(interp, 1, argv, "known given");
    return TCL_ERROR;
  }
  if (sdb_test_u64(interp, argv[1], &known) != TCL_OK || sdb_test_u64(interp, argv[2], &given) != TCL_OK ||
      known > sizeof engine || given > sizeof theirs) {
    return TCL_ERROR;
  }
  uint32_t says = (uint32_t)given;
  memset(engine, 1, sizeof engine);
  memset(theirs, 2, sizeof theirs);
  memset(told, 3, sizeof told);
  memcpy(theirs, &says, sizeof says);
  memcpy(told, &says, sizeof says);
  bool understood = sdb_sized_copy_in(engine, (size_t)known, theirs);
  Tcl_Obj *dict = Tcl_NewDictObj();
  sdb_api_put(dict, "in", digits(engine + sizeof says, 12 - sizeof says));
  sdb_api_put(dict, "understood", Tcl_NewBooleanObj(understood));
  memset(engine, 1, sizeof engine);
  sdb_sized_copy_out(told, engine, (size_t)known);
  sdb_api_put(dict, "out", digits(told + sizeof says, 12 - sizeof says));
  Tcl_SetObjResult(interp, dict);
  return TCL_OK;
}

int sdb_test_api_sizes_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_sizes", sizes_command, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_sized", sized_command, NULL, NULL);
  return TCL_OK;
}
