/* SPDX-License-Identifier: MIT
**
** pure.c: Tcl commands that encode, decode and re-seal the structures of FORMAT.md, so that scripts can read and
** forge the files of a database.  The models are in models/pure_ranges.c, models/pure_format.c and models/pure_text.c.
**
** PAGE, RECORD, JOURNAL and NAME are byte arrays; an option that is left out of a DICT is 0 or empty.
**   sdb_entry_encode INDEX START LENGTH RESERVED GENERATION TRAILER NAME ?CREATED? -> PAGE, also one that breaks rules
**   sdb_entry_decode PAGE INDEX       -> {state free} | {state damaged at N why TEXT} | {state used start N ...}
**   sdb_entry_hash PAGE INDEX         -> its term in the header's entries_hash
**   sdb_journal_header_encode DICT    -> PAGE, also one that breaks the rules
**   sdb_journal_header_decode PAGE    -> {state ok|torn|newer version N ...}
**   sdb_record_encode DICT            -> RECORD; must be sound: keys version (2 if left out) kind flags salt position
**                                        generation previous token parent file durability coordinator data_bytes
**                                        entries entries_hash; puts {{index N start N length N reserved N created N
**                                        name NAME} ...}, deletes {N ...}, ranges {{offset N data BYTES} ...}
**   sdb_record_decode BYTES SALT POSITION -> dict of the same keys, and bytes, checksum; empty if it is refused
**   sdb_record_list JOURNAL           -> dicts of the records that follow the valid header, up to the first refused
**   sdb_reseal_entry PAGE INDEX, sdb_reseal_journal_header PAGE, sdb_reseal_record RECORD -> the same, checksum right
**   sdb_reseal_catalog FILE -> the same, all checksums right
**
** THREADS: the interpreter's.
*/
#include "models/pure.h"

#include <inttypes.h>
#include <stdio.h>
#include "lib/testfixture.h"

/* ---- values ---- */

static Tcl_Obj *new_u64(uint64_t value) {
  char text[24];
  snprintf(text, sizeof text, "%" PRIu64, value);
  return Tcl_NewStringObj(text, -1);
}

static Tcl_Obj *new_text(const char *text) {
  return Tcl_NewStringObj(text, -1);
}

static Tcl_Obj *new_bytes(const void *bytes, uint64_t count) {
  return Tcl_NewByteArrayObj(bytes, (int)count);
}

void sdb_test_put(Tcl_Obj *dict, const char *key, Tcl_Obj *value) {
  Tcl_DictObjPut(NULL, dict, new_text(key), value);
}

static void put_u64(Tcl_Obj *dict, const char *key, uint64_t value) {
  sdb_test_put(dict, key, new_u64(value));
}

/* Any integer of 64 bits, with or without sign. */
static int get_u64(Tcl_Interp *interp, Tcl_Obj *obj, uint64_t *value) {
  Tcl_WideInt wide;
  if (Tcl_GetWideIntFromObj(interp, obj, &wide) != TCL_OK) return TCL_ERROR;
  *value = (uint64_t)wide;
  return TCL_OK;
}

/* *value NULL if the key is missing. */
static int get_key(Tcl_Interp *interp, Tcl_Obj *dict, const char *key, Tcl_Obj **value) {
  Tcl_Obj *name = new_text(key);
  Tcl_IncrRefCount(name);
  int code = Tcl_DictObjGet(interp, dict, name, value);
  Tcl_DecrRefCount(name);
  return code;
}

static int get_key_u64(Tcl_Interp *interp, Tcl_Obj *dict, const char *key, uint64_t *value) {
  Tcl_Obj *obj = NULL;
  *value = 0;
  if (get_key(interp, dict, key, &obj) != TCL_OK) return TCL_ERROR;
  return obj == NULL ? TCL_OK : get_u64(interp, obj, value);
}

static int get_key_bytes(Tcl_Interp *interp, Tcl_Obj *dict, const char *key, const uint8_t **bytes, uint64_t *count) {
  static const uint8_t none[1];
  Tcl_Obj *obj = NULL;
  int length = 0;
  if (get_key(interp, dict, key, &obj) != TCL_OK) return TCL_ERROR;
  *bytes = obj != NULL ? Tcl_GetByteArrayFromObj(obj, &length) : none;
  *count = (uint64_t)length;
  return TCL_OK;
}

static int get_key_list(Tcl_Interp *interp, Tcl_Obj *dict, const char *key, int *count, Tcl_Obj ***items) {
  Tcl_Obj *obj = NULL;
  *count = 0;
  *items = NULL;
  if (get_key(interp, dict, key, &obj) != TCL_OK) return TCL_ERROR;
  return obj == NULL ? TCL_OK : Tcl_ListObjGetElements(interp, obj, count, items);
}

int sdb_test_fail(Tcl_Interp *interp, const char *message) {
  Tcl_SetObjResult(interp, new_text(message));
  return TCL_ERROR;
}

/* Arguments PAGE and INDEX (unless objc is 2). */
static int get_page(Tcl_Interp *interp, int objc, Tcl_Obj *const objv[], int wanted, uint8_t **page, uint64_t *index) {
  int bytes = 0;
  if (objc != wanted) {
    Tcl_WrongNumArgs(interp, 1, objv, wanted == 3 ? "PAGE INDEX" : "PAGE");
    return TCL_ERROR;
  }
  *index = 0;
  *page = Tcl_GetByteArrayFromObj(objv[1], &bytes);
  if (bytes != SDB_ENTRY_BYTES) return sdb_test_fail(interp, "a page has 4096 bytes");
  return wanted == 3 ? get_u64(interp, objv[2], index) : TCL_OK;
}

/* ---- entries ---- */

static int entry_encode_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  uint64_t value[6], created = 0; /* index start length reserved generation trailer */
  uint8_t page[SDB_ENTRY_BYTES] = {0};
  int name_bytes = 0;
  (void)data;
  if (objc < 8 || objc > 9) {
    Tcl_WrongNumArgs(interp, 1, objv, "INDEX START LENGTH RESERVED GENERATION TRAILER NAME ?CREATED?");
    return TCL_ERROR;
  }
  if (objc == 9 && get_u64(interp, objv[8], &created) != TCL_OK) return TCL_ERROR;
  for (int i = 0; i < 6; i++) {
    if (get_u64(interp, objv[i + 1], &value[i]) != TCL_OK) return TCL_ERROR;
  }
  const uint8_t *name = Tcl_GetByteArrayFromObj(objv[7], &name_bytes);
  if (name_bytes > 4000) return sdb_test_fail(interp, "a name of more than 4000 bytes");
  for (int i = 0; i < 3; i++)
    sdb_put64(page + 8 * i, value[i + 1]);
  sdb_put64(page + 24, (uint64_t)name_bytes);
  memcpy(page + 32, name, (size_t)name_bytes);
  if (value[5] != 0) {
    sdb_put64(page + 4040, value[4]);
    sdb_put64(page + 4048, created);
    sdb_test_reseal_entry(page, (uint32_t)value[0]);
  }
  Tcl_SetObjResult(interp, new_bytes(page, sizeof page));
  return TCL_OK;
}

static int entry_decode_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  uint8_t *page;
  uint64_t index;
  uint32_t at = 0;
  const char *why = NULL;
  sdb_entry_image e;
  (void)data;
  if (get_page(interp, objc, objv, 3, &page, &index) != TCL_OK) return TCL_ERROR;
  Tcl_Obj *result = Tcl_NewDictObj();
  switch (sdb_entry_decode(page, (uint32_t)index, &e, &at, &why)) {
    case SDB_ENTRY_FREE:
      sdb_test_put(result, "state", new_text("free"));
      break;
    case SDB_ENTRY_DAMAGED:
      sdb_test_put(result, "state", new_text("damaged"));
      put_u64(result, "at", at);
      sdb_test_put(result, "why", new_text(why));
      break;
    case SDB_ENTRY_USED:
      sdb_test_put(result, "state", new_text("used"));
      put_u64(result, "start", e.start);
      put_u64(result, "length", e.length);
      put_u64(result, "reserved", e.reserved);
      put_u64(result, "generation", e.generation);
      put_u64(result, "created", e.created);
      put_u64(result, "trailer", e.has_trailer);
      sdb_test_put(result, "name", new_bytes(e.name, e.name_bytes));
      break;
  }
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

static int entry_hash_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  uint8_t *page;
  uint64_t index;
  uint32_t at;
  const char *why;
  sdb_entry_image e;
  (void)data;
  if (get_page(interp, objc, objv, 3, &page, &index) != TCL_OK) return TCL_ERROR;
  if (sdb_entry_decode(page, (uint32_t)index, &e, &at, &why) != SDB_ENTRY_USED)
    return sdb_test_fail(interp, "not a used entry");
  Tcl_SetObjResult(interp, new_u64(sdb_entry_hash((uint32_t)index, &e)));
  return TCL_OK;
}

static int reseal_entry_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  uint8_t *given, page[SDB_ENTRY_BYTES];
  uint64_t index;
  (void)data;
  if (get_page(interp, objc, objv, 3, &given, &index) != TCL_OK) return TCL_ERROR;
  memcpy(page, given, sizeof page);
  sdb_test_reseal_entry(page, (uint32_t)index);
  Tcl_SetObjResult(interp, new_bytes(page, sizeof page));
  return TCL_OK;
}

/* ---- journal headers ---- */

/* Name, place and width of the header's numbers. */
static const struct {
  const char *key;
  int at, bytes;
} header_fields[] = {
    {"version", 8, 4},          {"flags", 12, 4},      {"sequence", 32, 8},           {"salt", 40, 8},
    {"base_generation", 48, 8}, {"data_bytes", 56, 8}, {"regions_bytes", 64, 8},      {"entries", 72, 8},
    {"entries_hash", 80, 8},    {"start", 88, 8},      {"settled_generation", 128, 8}};
#define HEADER_FIELDS (sizeof header_fields / sizeof header_fields[0])

/* The same of its bytes. */
static const struct {
  const char *key;
  int at;
} header_names[] = {{"uuid", 16}, {"base_token", 96}, {"base_file", 112}, {"settled_token", 136}};
#define HEADER_NAMES (sizeof header_names / sizeof header_names[0])

static int put_bytes(Tcl_Interp *interp, Tcl_Obj *dict, const char *key, uint8_t *to, uint64_t most) {
  const uint8_t *bytes;
  uint64_t count;
  if (get_key_bytes(interp, dict, key, &bytes, &count) != TCL_OK) return TCL_ERROR;
  memcpy(to, bytes, (size_t)SDB_MIN(count, most));
  return TCL_OK;
}

/* Each {file BYTES settled BYTES inode N birth_ns N path BYTES}. */
static int claims_encode(Tcl_Interp *interp, Tcl_Obj *dict, uint8_t *page) {
  int count;
  Tcl_Obj **claims;
  if (get_key_list(interp, dict, "claims", &count, &claims) != TCL_OK) return TCL_ERROR;
  sdb_put32(page + 152, (uint32_t)count);
  for (int i = 0; i < count && i < (int)SDB_CLAIMS_MAX; i++) {
    uint8_t *p = page + 256 + (size_t)256 * (size_t)i;
    const uint8_t *path;
    uint64_t inode, birth_ns, path_bytes;
    if (put_bytes(interp, claims[i], "file", p, 16) != TCL_OK ||
        put_bytes(interp, claims[i], "settled", p + 16, 16) != TCL_OK ||
        get_key_u64(interp, claims[i], "inode", &inode) != TCL_OK ||
        get_key_u64(interp, claims[i], "birth_ns", &birth_ns) != TCL_OK ||
        get_key_bytes(interp, claims[i], "path", &path, &path_bytes) != TCL_OK)
      return TCL_ERROR;
    sdb_put64(p + 32, inode);
    sdb_put64(p + 40, birth_ns);
    sdb_put32(p + 48, (uint32_t)path_bytes);
    memcpy(p + 56, path, (size_t)SDB_MIN(path_bytes, 200));
  }
  return TCL_OK;
}

static Tcl_Obj *new_claims(const sdb_journal_header *h) {
  Tcl_Obj *claims = Tcl_NewListObj(0, NULL);
  for (uint32_t i = 0; i < h->claim_count; i++) {
    const sdb_claim *claim = &h->claims[i];
    Tcl_Obj *one = Tcl_NewDictObj();
    sdb_test_put(one, "file", new_bytes(claim->file.bytes, 16));
    sdb_test_put(one, "settled", new_bytes(claim->settled.bytes, 16));
    put_u64(one, "inode", claim->inode);
    put_u64(one, "birth_ns", claim->birth_ns);
    sdb_test_put(one, "path", new_bytes(claim->path, claim->path_bytes));
    Tcl_ListObjAppendElement(NULL, claims, one);
  }
  return claims;
}

static int header_encode_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES] = {0};
  uint64_t value;
  (void)data;
  if (objc != 2) {
    Tcl_WrongNumArgs(interp, 1, objv, "DICT");
    return TCL_ERROR;
  }
  memcpy(page, "seqdbjnl", 8);
  for (size_t i = 0; i < HEADER_FIELDS; i++) {
    if (get_key_u64(interp, objv[1], header_fields[i].key, &value) != TCL_OK) return TCL_ERROR;
    if (header_fields[i].bytes == 4) {
      sdb_put32(page + header_fields[i].at, (uint32_t)value);
    } else {
      sdb_put64(page + header_fields[i].at, value);
    }
  }
  for (size_t i = 0; i < HEADER_NAMES; i++)
    if (put_bytes(interp, objv[1], header_names[i].key, page + header_names[i].at, 16) != TCL_OK) return TCL_ERROR;
  if (claims_encode(interp, objv[1], page) != TCL_OK) return TCL_ERROR;
  if (sdb_get32(page + 8) == 1) memset(page + 88, 0, 4000); /* version 1 has none of it */
  sdb_test_reseal_header(page);
  Tcl_SetObjResult(interp, new_bytes(page, sizeof page));
  return TCL_OK;
}

static int header_decode_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  uint8_t *page;
  uint64_t none;
  sdb_journal_header h;
  (void)data;
  if (get_page(interp, objc, objv, 2, &page, &none) != TCL_OK) return TCL_ERROR;
  enum sdb_header_state state = sdb_journal_header_decode(page, &h);
  Tcl_Obj *result = Tcl_NewDictObj();
  sdb_test_put(result, "state",
               new_text(state == SDB_HEADER_OK        ? "ok"
                        : state == SDB_HEADER_DAMAGED ? "torn"
                                                      : "newer"));
  if (state != SDB_HEADER_DAMAGED) put_u64(result, "version", h.version);
  if (state == SDB_HEADER_OK) {
    put_u64(result, "flags", h.sync_off | (uint64_t)h.overlay << 1);
    sdb_test_put(result, "uuid", new_bytes(h.uuid, sizeof h.uuid));
    put_u64(result, "sequence", h.sequence);
    put_u64(result, "salt", h.salt);
    put_u64(result, "base_generation", h.base_generation);
    put_u64(result, "data_bytes", h.data_bytes);
    put_u64(result, "regions_bytes", h.regions_bytes);
    put_u64(result, "entries", h.entries);
    put_u64(result, "entries_hash", h.entries_hash);
    put_u64(result, "start", h.start);
    sdb_test_put(result, "base_token", new_bytes(h.base_token.bytes, 16));
    sdb_test_put(result, "base_file", new_bytes(h.base_file.bytes, 16));
    put_u64(result, "settled_generation", h.settled_generation);
    sdb_test_put(result, "settled_token", new_bytes(h.settled_token.bytes, 16));
    sdb_test_put(result, "claims", new_claims(&h));
  }
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

static int reseal_header_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  uint8_t *given, page[SDB_JOURNAL_HEADER_BYTES];
  uint64_t none;
  (void)data;
  if (get_page(interp, objc, objv, 2, &given, &none) != TCL_OK) return TCL_ERROR;
  memcpy(page, given, sizeof page);
  sdb_test_reseal_header(page);
  Tcl_SetObjResult(interp, new_bytes(page, sizeof page));
  return TCL_OK;
}

/* ---- records ---- */

static int get_put(Tcl_Interp *interp, Tcl_Obj *dict, sdb_record_put *p) {
  const uint8_t *name;
  uint64_t index, name_bytes;
  if (get_key_u64(interp, dict, "index", &index) != TCL_OK || get_key_u64(interp, dict, "start", &p->start) != TCL_OK ||
      get_key_u64(interp, dict, "length", &p->length) != TCL_OK ||
      get_key_u64(interp, dict, "reserved", &p->reserved) != TCL_OK ||
      get_key_u64(interp, dict, "created", &p->created) != TCL_OK ||
      get_key_bytes(interp, dict, "name", &name, &name_bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  p->index = (uint32_t)index;
  p->name = (const char *)name;
  p->name_bytes = (uint32_t)name_bytes;
  return TCL_OK;
}

/* The lists of a record's DICT. */
typedef struct lists {
  int puts, deletes, ranges;
  Tcl_Obj **put, **delete, **range;
} lists;

static int get_sizes(Tcl_Interp *interp, Tcl_Obj *dict, lists *l, sdb_record_sizes *sizes) {
  const uint8_t *bytes;
  uint64_t count, version;
  sdb_record_put p;
  if (get_key_u64(interp, dict, "version", &version) != TCL_OK ||
      get_key_list(interp, dict, "puts", &l->puts, &l->put) != TCL_OK ||
      get_key_list(interp, dict, "deletes", &l->deletes, &l->delete) != TCL_OK ||
      get_key_list(interp, dict, "ranges", &l->ranges, &l->range) != TCL_OK ||
      get_key_bytes(interp, dict, "coordinator", &bytes, &count) != TCL_OK) {
    return TCL_ERROR;
  }
  *sizes = (sdb_record_sizes){.version = version == 1 ? 1 : SDB_FORMAT_VERSION,
                              .coordinator_bytes = count,
                              .puts = (uint64_t)l->puts,
                              .deletes = (uint64_t)l->deletes,
                              .ranges = (uint64_t)l->ranges};
  for (int i = 0; i < l->puts; i++) {
    if (get_put(interp, l->put[i], &p) != TCL_OK) return TCL_ERROR;
    sizes->put_name_bytes += p.name_bytes;
  }
  for (int i = 0; i < l->ranges; i++) {
    if (get_key_bytes(interp, l->range[i], "data", &bytes, &count) != TCL_OK) return TCL_ERROR;
    sizes->range_bytes += count;
  }
  return TCL_OK;
}

static int add_lists(Tcl_Interp *interp, const lists *l, sdb_record_writer *w) {
  for (int i = 0; i < l->puts; i++) {
    sdb_record_put p;
    if (get_put(interp, l->put[i], &p) != TCL_OK) return TCL_ERROR;
    sdb_record_add_put(w, &p);
  }
  for (int i = 0; i < l->deletes; i++) {
    uint64_t index;
    if (get_u64(interp, l->delete[i], &index) != TCL_OK) return TCL_ERROR;
    sdb_record_add_delete(w, (uint32_t)index);
  }
  for (int i = 0; i < l->ranges; i++) {
    const uint8_t *bytes;
    uint64_t offset, count;
    if (get_key_u64(interp, l->range[i], "offset", &offset) != TCL_OK) return TCL_ERROR;
    if (get_key_bytes(interp, l->range[i], "data", &bytes, &count) != TCL_OK) return TCL_ERROR;
    memcpy(sdb_record_add_range(w, offset, count), bytes, (size_t)count);
  }
  return TCL_OK;
}

static int get_record_header(Tcl_Interp *interp, Tcl_Obj *dict, sdb_record_header *h) {
  uint64_t kind, flags, durability;
  *h = (sdb_record_header){0};
  if (get_key_u64(interp, dict, "kind", &kind) != TCL_OK || get_key_u64(interp, dict, "flags", &flags) != TCL_OK ||
      get_key_u64(interp, dict, "salt", &h->salt) != TCL_OK ||
      get_key_u64(interp, dict, "position", &h->position) != TCL_OK ||
      get_key_u64(interp, dict, "generation", &h->generation) != TCL_OK ||
      get_key_u64(interp, dict, "previous", &h->previous) != TCL_OK ||
      get_key_u64(interp, dict, "data_bytes", &h->data_bytes) != TCL_OK ||
      get_key_u64(interp, dict, "entries", &h->entries) != TCL_OK ||
      get_key_u64(interp, dict, "entries_hash", &h->entries_hash) != TCL_OK ||
      get_key_u64(interp, dict, "durability", &durability) != TCL_OK ||
      put_bytes(interp, dict, "token", h->token.bytes, 16) != TCL_OK ||
      put_bytes(interp, dict, "parent", h->parent.bytes, 16) != TCL_OK ||
      put_bytes(interp, dict, "file", h->file.bytes, 16) != TCL_OK) {
    return TCL_ERROR;
  }
  h->durability = (uint32_t)durability;
  h->kind = (uint16_t)kind;
  h->flags = (uint16_t)flags;
  return TCL_OK;
}

static int record_encode_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  lists l;
  sdb_record_sizes sizes;
  sdb_record_writer w;
  sdb_record_header h;
  const uint8_t *coordinator;
  (void)data;
  if (objc != 2) {
    Tcl_WrongNumArgs(interp, 1, objv, "DICT");
    return TCL_ERROR;
  }
  if (get_sizes(interp, objv[1], &l, &sizes) != TCL_OK) return TCL_ERROR;
  if (get_record_header(interp, objv[1], &h) != TCL_OK) return TCL_ERROR;
  /* Last, right before use: asking a shared object for a number would move its bytes. */
  if (get_key_bytes(interp, objv[1], "coordinator", &coordinator, &sizes.coordinator_bytes) != TCL_OK) return TCL_ERROR;
  Tcl_Obj *result = Tcl_NewByteArrayObj(NULL, 0);
  sdb_record_begin(&w, Tcl_SetByteArrayLength(result, (int)sdb_record_size(&sizes)), &sizes, (const char *)coordinator);
  if (add_lists(interp, &l, &w) != TCL_OK) {
    Tcl_DecrRefCount(result);
    return TCL_ERROR;
  }
  sdb_record_seal(&w, &h);
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

static void put_lists(Tcl_Obj *dict, const uint8_t *record, const sdb_record_header *h) {
  Tcl_Obj *puts = Tcl_NewListObj(0, NULL), *deletes = Tcl_NewListObj(0, NULL), *ranges = Tcl_NewListObj(0, NULL);
  sdb_record_put p;
  sdb_record_range r;
  uint32_t index;
  for (uint64_t cursor = 0; sdb_record_next_put(record, h, &cursor, &p);) {
    Tcl_Obj *one = Tcl_NewDictObj();
    put_u64(one, "index", p.index);
    put_u64(one, "start", p.start);
    put_u64(one, "length", p.length);
    put_u64(one, "reserved", p.reserved);
    put_u64(one, "created", p.created);
    sdb_test_put(one, "name", new_bytes(p.name, p.name_bytes));
    Tcl_ListObjAppendElement(NULL, puts, one);
  }
  for (uint64_t cursor = 0; sdb_record_next_delete(record, h, &cursor, &index);) {
    Tcl_ListObjAppendElement(NULL, deletes, new_u64(index));
  }
  for (uint64_t cursor = 0; sdb_record_next_range(record, h, &cursor, &r);) {
    Tcl_Obj *one = Tcl_NewDictObj();
    put_u64(one, "offset", r.offset);
    sdb_test_put(one, "data", new_bytes(r.data, r.bytes));
    Tcl_ListObjAppendElement(NULL, ranges, one);
  }
  sdb_test_put(dict, "puts", puts);
  sdb_test_put(dict, "deletes", deletes);
  sdb_test_put(dict, "ranges", ranges);
}

static Tcl_Obj *new_record(const uint8_t *record, const sdb_record_header *h) {
  Tcl_Obj *dict = Tcl_NewDictObj();
  put_u64(dict, "version", h->version);
  put_u64(dict, "kind", h->kind);
  put_u64(dict, "flags", h->flags);
  put_u64(dict, "bytes", h->bytes);
  put_u64(dict, "salt", h->salt);
  put_u64(dict, "position", h->position);
  put_u64(dict, "generation", h->generation);
  put_u64(dict, "previous", h->previous);
  put_u64(dict, "checksum", h->checksum);
  put_u64(dict, "data_bytes", h->data_bytes);
  put_u64(dict, "entries", h->entries);
  put_u64(dict, "entries_hash", h->entries_hash);
  sdb_test_put(dict, "token", new_bytes(h->token.bytes, 16));
  sdb_test_put(dict, "parent", new_bytes(h->parent.bytes, 16));
  sdb_test_put(dict, "file", new_bytes(h->file.bytes, 16));
  put_u64(dict, "durability", h->durability);
  put_u64(dict, "changes", h->changes);
  sdb_test_put(dict, "coordinator", new_bytes(sdb_record_coordinator(record, h), h->coordinator_bytes));
  put_lists(dict, record, h);
  return dict;
}

static int record_decode_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int bytes = 0;
  uint64_t salt, position;
  sdb_record_header h;
  (void)data;
  if (objc != 4) {
    Tcl_WrongNumArgs(interp, 1, objv, "BYTES SALT POSITION");
    return TCL_ERROR;
  }
  if (get_u64(interp, objv[2], &salt) != TCL_OK || get_u64(interp, objv[3], &position) != TCL_OK) return TCL_ERROR;
  const uint8_t *record = Tcl_GetByteArrayFromObj(objv[1], &bytes);
  if (sdb_record_decode(record, (uint64_t)bytes, salt, position, &h)) Tcl_SetObjResult(interp, new_record(record, &h));
  return TCL_OK;
}

static int record_list_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int bytes = 0;
  uint64_t salt = 0, sequence = 0, at = SDB_JOURNAL_START;
  sdb_journal_header header;
  sdb_record_header h;
  (void)data;
  if (objc != 2) {
    Tcl_WrongNumArgs(interp, 1, objv, "JOURNAL");
    return TCL_ERROR;
  }
  const uint8_t *journal = Tcl_GetByteArrayFromObj(objv[1], &bytes);
  if (bytes < (int)SDB_JOURNAL_START) return sdb_test_fail(interp, "a journal has 8192 bytes or more");
  for (uint64_t i = 0; i < 2; i++) {
    const uint8_t *page = journal + i * SDB_JOURNAL_HEADER_BYTES;
    if (sdb_journal_header_decode(page, &header) != SDB_HEADER_OK || (header.sequence & 1) != i) continue;
    if (salt == 0 || header.sequence > sequence) {
      salt = header.salt;
      sequence = header.sequence;
      at = header.start;
    }
  }
  if (salt == 0) return sdb_test_fail(interp, "neither header is valid");
  Tcl_Obj *result = Tcl_NewListObj(0, NULL);
  while (at < (uint64_t)bytes && sdb_record_decode(journal + at, (uint64_t)bytes - at, salt, at, &h)) {
    Tcl_ListObjAppendElement(NULL, result, new_record(journal + at, &h));
    at = (at + h.bytes + SDB_RECORD_ALIGN - 1) / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
  }
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

static int reseal_record_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int bytes = 0;
  (void)data;
  if (objc != 2) {
    Tcl_WrongNumArgs(interp, 1, objv, "RECORD");
    return TCL_ERROR;
  }
  const uint8_t *given = Tcl_GetByteArrayFromObj(objv[1], &bytes);
  if (bytes < (int)SDB_RECORD_LEAST_BYTES) return sdb_test_fail(interp, "a record has 128 bytes or more");
  Tcl_Obj *result = new_bytes(given, (uint64_t)bytes);
  sdb_test_reseal_record(Tcl_GetByteArrayFromObj(result, NULL), (uint64_t)bytes);
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

int sdb_test_pure_init(Tcl_Interp *interp) {
  static const struct {
    const char *name;
    Tcl_ObjCmdProc *run;
  } commands[] = {{"sdb_entry_encode", entry_encode_cmd},
                  {"sdb_entry_decode", entry_decode_cmd},
                  {"sdb_entry_hash", entry_hash_cmd},
                  {"sdb_reseal_entry", reseal_entry_cmd},
                  {"sdb_journal_header_encode", header_encode_cmd},
                  {"sdb_journal_header_decode", header_decode_cmd},
                  {"sdb_reseal_journal_header", reseal_header_cmd},
                  {"sdb_record_encode", record_encode_cmd},
                  {"sdb_record_decode", record_decode_cmd},
                  {"sdb_record_list", record_list_cmd},
                  {"sdb_reseal_record", reseal_record_cmd}};
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    Tcl_CreateObjCommand(interp, commands[i].name, commands[i].run, NULL, NULL);
  }
  sdb_test_extent_init(interp);
  sdb_test_format_init(interp);
  sdb_test_text_init(interp);
  sdb_test_forge_init(interp);
  return TCL_OK;
}
