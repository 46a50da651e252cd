/* SPDX-License-Identifier: MIT
**
** api_read.c: reading as Tcl commands: of a handle's own view, and of a snapshot, which is a command too.
**
**   NAME snapshot SNAP           opens a snapshot; SNAP close ends it
**   VIEW is NAME or SNAP:
**   VIEW find REGIONNAME         -> region number
**   VIEW info R                  -> {region N index N name TEXT offset N length N reserved N generation N}
**   VIEW iterate INDEX           -> the same of the first region from INDEX on, empty after the last one
**   VIEW list                    -> names in order of their indexes
**   VIEW read R ?OFFSET ?BYTES?? -> bytes (seqdb_read_copy)
**   VIEW named NAME OFFSET BYTES -> bytes (seqdb_read_named)
**   VIEW point R OFFSET BYTES    -> address of the bytes (seqdb_read), or "copy"
**   VIEW hash R                  -> {length crc32} of the whole contents, read in pieces of 1 MiB
**   VIEW filled R BYTE           -> 1 if every byte of the region is BYTE
**   SNAP generation | totals     totals -> {regions content_bytes}
**   sdb_at ADDRESS BYTES         -> what a pointer shows now
**
** THREADS: the interpreter's.
*/
#include "engine/api.h"

#include <stdlib.h>

#define PIECE_BYTES ((size_t)1 << 20)

static Tcl_Obj *info_dict(const seqdb_region_info *info) {
  Tcl_Obj *dict = Tcl_NewDictObj();
  sdb_api_put_u64(dict, "region", info->region);
  sdb_api_put_u64(dict, "index", info->index);
  sdb_api_put(dict, "name", sdb_api_text(info->name, info->name_bytes));
  sdb_api_put_u64(dict, "offset", info->offset);
  sdb_api_put_u64(dict, "length", info->length_bytes);
  sdb_api_put_u64(dict, "reserved", info->reserved_bytes);
  sdb_api_put_u64(dict, "generation", info->generation);
  sdb_api_put_u64(dict, "created", info->created);
  return dict;
}

static int run_find(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_view *at = object;
  Tcl_DString space;
  size_t bytes;
  seqdb_region region = 0;
  (void)argc;
  const char *name = sdb_api_name(argv[0], &bytes, &space);
  int rc = seqdb_find(at->view, name, bytes, &region);
  Tcl_DStringFree(&space);
  if (rc == SEQDB_OK) Tcl_SetObjResult(interp, sdb_test_wide(region));
  return sdb_api_done(interp, at->db, rc);
}

static int run_info(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_view *at = object;
  seqdb_region region;
  seqdb_region_info info;
  (void)argc;
  if (sdb_api_region(interp, at->db, at->view, argv[0], &region) != TCL_OK) return TCL_ERROR;
  int rc = seqdb_get_info(at->view, region, &info);
  if (rc == SEQDB_OK) Tcl_SetObjResult(interp, info_dict(&info));
  return sdb_api_done(interp, at->db, rc);
}

static int run_iterate(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_view *at = object;
  uint64_t index;
  seqdb_region_info info;
  (void)argc;
  if (sdb_test_u64(interp, argv[0], &index) != TCL_OK) return TCL_ERROR;
  int rc = seqdb_iterate(at->view, index, &info);
  if (rc == SEQDB_OK) Tcl_SetObjResult(interp, info_dict(&info));
  return sdb_api_done(interp, at->db, rc);
}

static int run_list(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_view *at = object;
  seqdb_region_info info;
  int rc;
  (void)argc, (void)argv;
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  for (uint64_t index = 0; (rc = seqdb_iterate(at->view, index, &info)) == SEQDB_OK; index = (uint64_t)info.index + 1)
    Tcl_ListObjAppendElement(NULL, list, sdb_api_text(info.name, info.name_bytes));
  Tcl_SetObjResult(interp, list);
  return sdb_api_done(interp, at->db, rc);
}

static int region_length(sdb_api_view *at, Tcl_Interp *interp, Tcl_Obj *word, seqdb_region *region, uint64_t *length) {
  seqdb_region_info info;
  if (sdb_api_region(interp, at->db, at->view, word, region) != TCL_OK) return TCL_ERROR;
  int rc = seqdb_get_info(at->view, *region, &info);
  if (rc == SEQDB_OK) *length = info.length_bytes;
  return sdb_api_done(interp, at->db, rc);
}

static int run_read(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_view *at = object;
  seqdb_region region;
  uint64_t offset = 0, bytes;
  size_t got = 0;
  if (argc > 2 ? sdb_api_region(interp, at->db, at->view, argv[0], &region) != TCL_OK
               : region_length(at, interp, argv[0], &region, &bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  if ((argc > 1 && sdb_test_u64(interp, argv[1], &offset) != TCL_OK) ||
      (argc > 2 && sdb_test_u64(interp, argv[2], &bytes) != TCL_OK)) {
    return TCL_ERROR;
  }
  Tcl_Obj *result = Tcl_NewByteArrayObj(NULL, (int)bytes);
  Tcl_IncrRefCount(result);
  int rc = seqdb_read_copy(at->view, region, offset, Tcl_GetByteArrayFromObj(result, NULL), (size_t)bytes, &got);
  if (rc == SEQDB_OK) {
    Tcl_SetByteArrayLength(result, (int)got);
    Tcl_SetObjResult(interp, result);
  }
  Tcl_DecrRefCount(result);
  return sdb_api_done(interp, at->db, rc);
}

static int run_named(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_view *at = object;
  uint64_t offset, bytes;
  size_t got = 0;
  int name_bytes;
  const char *name = Tcl_GetStringFromObj(argv[0], &name_bytes);
  (void)argc;
  if (sdb_test_u64(interp, argv[1], &offset) != TCL_OK || sdb_test_u64(interp, argv[2], &bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  Tcl_Obj *result = Tcl_NewByteArrayObj(NULL, (int)bytes);
  Tcl_IncrRefCount(result);
  int rc = seqdb_read_named(at->view, name, (size_t)name_bytes, offset, Tcl_GetByteArrayFromObj(result, NULL),
                            (size_t)bytes, &got);
  if (rc == SEQDB_OK) {
    Tcl_SetByteArrayLength(result, (int)got);
    Tcl_SetObjResult(interp, result);
  }
  Tcl_DecrRefCount(result);
  return sdb_api_done(interp, at->db, rc);
}

static int run_point(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_view *at = object;
  seqdb_region region;
  uint64_t offset, bytes;
  const void *data = NULL;
  (void)argc;
  if (sdb_api_region(interp, at->db, at->view, argv[0], &region) != TCL_OK ||
      sdb_test_u64(interp, argv[1], &offset) != TCL_OK || sdb_test_u64(interp, argv[2], &bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  int rc = seqdb_read(at->view, region, offset, bytes, &data);
  if (rc == SEQDB_OK) Tcl_SetObjResult(interp, sdb_test_wide((uint64_t)(uintptr_t)data));
  if (rc == SEQDB_COPY) Tcl_SetObjResult(interp, Tcl_NewStringObj("copy", -1));
  return sdb_api_done(interp, at->db, rc);
}

int sdb_api_at_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t address, bytes;
  (void)data;
  if (argc != 3) {
    Tcl_WrongNumArgs(interp, 1, argv, "address bytes");
    return TCL_ERROR;
  }
  if (sdb_test_u64(interp, argv[1], &address) != TCL_OK || sdb_test_u64(interp, argv[2], &bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  Tcl_SetObjResult(interp, Tcl_NewByteArrayObj((const unsigned char *)(uintptr_t)address, (int)bytes));
  return TCL_OK;
}

/* Call use() with the contents, piece by piece. */
static int each_piece(sdb_api_view *at, Tcl_Interp *interp, Tcl_Obj *word, void (*use)(void *, const uint8_t *, size_t),
                      void *context) {
  seqdb_region region;
  uint64_t length;
  int rc = SEQDB_OK;
  if (region_length(at, interp, word, &region, &length) != TCL_OK) return TCL_ERROR;
  uint8_t *piece = malloc(PIECE_BYTES);
  if (piece == NULL) abort();
  for (uint64_t done = 0; done < length && rc == SEQDB_OK;) {
    size_t got = 0;
    rc = seqdb_read_copy(at->view, region, done, piece, PIECE_BYTES, &got);
    if (rc == SEQDB_OK && got == 0) break;
    if (rc == SEQDB_OK) use(context, piece, got);
    done += got;
  }
  free(piece);
  return sdb_api_done(interp, at->db, rc);
}

struct sum {
  uint64_t bytes;
  uint32_t crc;
};

static void add_crc(void *context, const uint8_t *data, size_t bytes) {
  struct sum *sum = context;
  sum->crc = (uint32_t)Tcl_ZlibCRC32(sum->crc, data, (int)bytes);
  sum->bytes += bytes;
}

static int run_hash(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  struct sum sum = {0, 0};
  (void)argc;
  if (each_piece(object, interp, argv[0], add_crc, &sum) != TCL_OK) return TCL_ERROR;
  Tcl_Obj *words[] = {sdb_test_wide(sum.bytes), sdb_test_wide(sum.crc)};
  Tcl_SetObjResult(interp, Tcl_NewListObj(2, words));
  return TCL_OK;
}

struct filled {
  uint8_t byte;
  int yes;
};

static void is_filled(void *context, const uint8_t *data, size_t bytes) {
  struct filled *filled = context;
  if (data[0] != filled->byte || memcmp(data, data + 1, bytes - 1) != 0) filled->yes = 0;
}

static int run_filled(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t byte;
  (void)argc;
  if (sdb_test_u64(interp, argv[1], &byte) != TCL_OK) return TCL_ERROR;
  struct filled filled = {(uint8_t)byte, 1};
  if (each_piece(object, interp, argv[0], is_filled, &filled) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, Tcl_NewIntObj(filled.yes));
  return TCL_OK;
}

const sdb_api_sub sdb_api_view_subs[] = {{"filled", 2, 2, "region byte", run_filled},
                                         {"find", 1, 1, "name", run_find},
                                         {"hash", 1, 1, "region", run_hash},
                                         {"info", 1, 1, "region", run_info},
                                         {"iterate", 1, 1, "index", run_iterate},
                                         {"list", 0, 0, NULL, run_list},
                                         {"point", 3, 3, "region offset bytes", run_point},
                                         {"read", 1, 3, "region ?offset? ?bytes?", run_read},
                                         {"named", 3, 3, "name offset bytes", run_named},
                                         {NULL, 0, 0, NULL, NULL}};

/* ---- snapshots --------------------------------------------------------------------------------------------- */

static int run_generation(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_snapshot *at = object;
  (void)argc, (void)argv;
  Tcl_SetObjResult(interp, sdb_test_wide(seqdb_snapshot_generation(at->snapshot)));
  return TCL_OK;
}

static int run_totals(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_snapshot *at = object;
  uint64_t regions = 0, content_bytes = 0;
  (void)argc, (void)argv;
  seqdb_view_totals(seqdb_snapshot_view(at->snapshot), &regions, &content_bytes);
  Tcl_Obj *words[] = {sdb_test_wide(regions), sdb_test_wide(content_bytes)};
  Tcl_SetObjResult(interp, Tcl_NewListObj(2, words));
  return TCL_OK;
}

static int run_close(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_snapshot *at = object;
  (void)argc, (void)argv;
  Tcl_DeleteCommandFromToken(interp, at->command);
  return TCL_OK;
}

static const sdb_api_sub snapshot_subs[] = {{"changes", 1, 1, "since", sdb_api_run_changes},
                                            {"close", 0, 0, NULL, run_close},
                                            {"generation", 0, 0, NULL, run_generation},
                                            {"totals", 0, 0, NULL, run_totals},
                                            {NULL, 0, 0, NULL, NULL}};

static int snapshot_dispatch(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_snapshot *at = data;
  if (argc < 2) {
    Tcl_WrongNumArgs(interp, 1, argv, "subcommand ?arg ...?");
    return TCL_ERROR;
  }
  int code = sdb_api_dispatch(snapshot_subs, at, interp, argc, argv);
  if (code != TCL_CONTINUE) return code;
  sdb_api_view view = {at->db, seqdb_snapshot_view(at->snapshot)};
  code = sdb_api_dispatch(sdb_api_view_subs, &view, interp, argc, argv);
  if (code != TCL_CONTINUE) return code;
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("no such subcommand: %s", Tcl_GetString(argv[1])));
  return TCL_ERROR;
}

static void snapshot_gone(ClientData data) {
  sdb_api_snapshot *at = data;
  seqdb_snapshot_close(at->snapshot);
  ckfree((char *)at);
}

int sdb_api_snapshot_command(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  sdb_api_db *db = object;
  seqdb_snapshot *snapshot = NULL;
  (void)argc;
  int rc = seqdb_snapshot_open(db->db, &snapshot);
  if (rc != SEQDB_OK) return sdb_api_done(interp, db->db, rc);
  sdb_api_snapshot *at = (sdb_api_snapshot *)ckalloc(sizeof *at);
  *at = (sdb_api_snapshot){.snapshot = snapshot, .db = db->db};
  at->command = Tcl_CreateObjCommand(interp, Tcl_GetString(argv[0]), snapshot_dispatch, at, snapshot_gone);
  Tcl_SetObjResult(interp, argv[0]);
  return TCL_OK;
}
