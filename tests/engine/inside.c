/* SPDX-License-Identifier: MIT
**
** inside.c: the memory of an open store changed behind its back, so that tests see check notice it.
**
**   sdb_inside HANDLE set WHAT ?INDEX? VALUE    gives WHAT another value -> the one it had.  WHAT of the committed
**                                               state:
**       entries content reserved hash           totals of its tree
**       generation                              its generation
**       end                                     of the space in `data`
**       pages sequence                          entries of `regions`, sequence of the journal's header
**     and of the entry INDEX: start length reserves newest trailer letter (the name's first byte)
**   sdb_inside HANDLE free OFFSET BYTES         lists that much of `data` as a hole
**   sdb_inside HANDLE problems                  -> how many seqdb_check() counts when nobody wants to be told
**
** The caller puts everything back before the store is used or closed.  THREADS: the interpreter's, the store at rest.
*/
#include "txn/handle.h"
#include "engine/api.h"
#include "lib/testfixture.h"

static const char *const whats[] = {"content",  "end",      "entries", "generation", "hash",
                                    "length",   "letter",   "newest",  "pages",      "reserved",
                                    "reserves", "sequence", "start",   "trailer",    NULL};

/* The number of that name; NULL: none, as there is no such entry. */
static uint64_t *number_of(sdb_store *store, const char *what, uint32_t index) {
  sdb_tree *tree = &store->committed->tree;
  sdb_entry *entry = (sdb_entry *)(uintptr_t)sdb_tree_get(tree, index);
  const struct {
    const char *what;
    uint64_t *number;
  } numbers[] = {{"content", &tree->content_bytes},
                 {"end", &store->space.end},
                 {"entries", &tree->entries},
                 {"generation", &store->committed->generation},
                 {"hash", &tree->hash},
                 {"length", entry ? &entry->length : NULL},
                 {"newest", entry ? &entry->generation : NULL},
                 {"pages", &store->regions.pages},
                 {"reserved", &tree->reserved_bytes},
                 {"reserves", entry ? &entry->reserved : NULL},
                 {"sequence", &store->journal.header.sequence},
                 {"start", entry ? &entry->start : NULL}};
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (strcmp(numbers[i].what, what) == 0) {
      return numbers[i].number;
    }
  }
  return NULL;
}

static uint64_t set(sdb_store *store, const char *what, uint32_t index, uint64_t value) {
  sdb_entry *entry = (sdb_entry *)(uintptr_t)sdb_tree_get(&store->committed->tree, index);
  uint64_t *number = number_of(store, what, index), old = 0;
  if (number) {
    old = *number;
    *number = value;
  } else if (entry && strcmp(what, "trailer") == 0) {
    old = entry->has_trailer;
    entry->has_trailer = value != 0;
  } else if (entry && strcmp(what, "letter") == 0) {
    char *letter = (char *)(uintptr_t)sdb_name_text(entry->name);
    old = (uint8_t)*letter;
    *letter = (char)value;
  }
  return old;
}

static int run_set(sdb_store *store, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  int what;
  uint64_t index = 0, value;
  if (Tcl_GetIndexFromObj(interp, argv[0], whats, "what", TCL_EXACT, &what) != TCL_OK ||
      (argc > 2 && sdb_test_u64(interp, argv[1], &index) != TCL_OK) ||
      sdb_test_u64(interp, argv[argc - 1], &value) != TCL_OK) {
    return TCL_ERROR;
  }
  Tcl_SetObjResult(interp, sdb_test_wide(set(store, whats[what], (uint32_t)index, value)));
  return TCL_OK;
}

static int run_free(sdb_store *store, Tcl_Interp *interp, Tcl_Obj *const argv[]) {
  uint64_t start, bytes;
  if (sdb_test_u64(interp, argv[0], &start) != TCL_OK || sdb_test_u64(interp, argv[1], &bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_range_add(&store->space.holes, start, bytes);
  return TCL_OK;
}

static int inside(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const actions[] = {"free", "problems", "set", NULL};
  sdb_api_db *handle = argc > 2 ? sdb_api_handle(interp, argv[1]) : NULL;
  int action;
  uint64_t problems = 0;
  (void)data;
  if (!handle || Tcl_GetIndexFromObj(interp, argv[2], actions, "action", TCL_EXACT, &action) != TCL_OK) {
    return TCL_ERROR;
  }
  if (action == 0 && argc == 5) {
    return run_free(handle->db->store, interp, argv + 3);
  }
  if (action == 2 && (argc == 5 || argc == 6)) {
    return run_set(handle->db->store, interp, argc - 3, argv + 3);
  }
  if (action != 1 || seqdb_check(handle->db, NULL, NULL, &problems) != SEQDB_OK) {
    Tcl_WrongNumArgs(interp, 3, argv, "...");
    return TCL_ERROR;
  }
  Tcl_SetObjResult(interp, sdb_test_wide(problems));
  return TCL_OK;
}

int sdb_test_inside_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_inside", inside, NULL, NULL);
  return TCL_OK;
}
