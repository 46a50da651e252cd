/* SPDX-License-Identifier: MIT
**
** damage.c: systematic damage of prepared databases, each outcome held against what must not be lost without a word
** (fuzz/fuzz_judge.c).  BASE is a name of fuzz/fuzz_base.c, FILE is data, regions, journal
** or catalog; there is a catalog only where that is damaged.
**
**   sdb_damage bases                     -> names
**   sdb_damage flips BASE FILE WAY       every bit flipped, one at a time.  WAY sparse: of bytes that are zero and have
**                                        no other neighbour within 16, one bit only; all: every bit
**   sdb_damage cuts BASE FILE STEP       cut to every multiple of STEP bytes, in the zeros at the end of at least 512
**   sdb_damage zeros BASE FILE BYTES     every aligned run of BYTES bytes zeroed, one at a time
**   sdb_damage entries|headers|records|catalogs BASE
**                                        every field set to each hostile value and to values near its own, checksum
**                                        wrong and made right, the header in agreement with `regions` or not
**       -> {cases N reported N}: outcomes tried, and how many of them the engine reports or refuses to open
**   sdb_damage older BASE {FILE ...}     these files replaced by those of an earlier moment
**   sdb_damage lost BASE {FILE ...}      these files missing
**       -> {says ok|damaged|refused same BOOL}: same: all of the newest commit is there
** Errors: "BASE case N: problem", where case N is told in words.
** THREADS: the interpreter's.  The simulated disk is empty afterwards.
*/
#include <stdio.h>
#include "fuzz/fuzz.h"
#include "disk/os_faults.h"
#include "disk/os_sim.h"
#include "lib/test_tcl.h"
#include "lib/testfixture.h"

#define PAGE SDB_PAGE

typedef struct series {
  Tcl_Interp *interp;
  fuzz_case c;
  uint64_t cases, reported;
  char what[120];
} series;

/* ---- arguments */

static const char *const file_words[] = {"data", "regions", "journal", "catalog", NULL};

static int get_file(Tcl_Interp *interp, Tcl_Obj *word, int *file) {
  return Tcl_GetIndexFromObj(interp, word, file_words, "file", TCL_EXACT, file);
}

static int begin(series *s, Tcl_Interp *interp, Tcl_Obj *word) {
  memset(s, 0, sizeof *s);
  s->interp = interp;
  fuzz_forget_problem();
  for (size_t i = 0; i < fuzz_base_count() && !s->c.base; i++)
    if (strcmp(fuzz_base_get(i)->name, Tcl_GetString(word)) == 0) s->c.base = fuzz_base_get(i);
  if (s->c.base) return TCL_OK;
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("no base: %s", Tcl_GetString(word)));
  return TCL_ERROR;
}

static void end(series *s) {
  fuzz_case_free(&s->c);
  sdb_sim_reset();
  sdb_sim_set_file_max(0);
  sdb_fault_set_random(0);
  sdb_fault_set_map_window(0);
}

static int finish(series *s) {
  int rc = fuzz_problem()[0] ? TCL_ERROR : TCL_OK;
  if (rc == TCL_ERROR) {
    Tcl_SetObjResult(s->interp, Tcl_ObjPrintf("%s, %s: %s", s->c.base->name, s->what, fuzz_problem()));
  } else {
    Tcl_Obj *result = Tcl_NewDictObj();
    Tcl_DictObjPut(NULL, result, Tcl_NewStringObj("cases", -1), sdb_test_wide(s->cases));
    Tcl_DictObjPut(NULL, result, Tcl_NewStringObj("reported", -1), sdb_test_wide(s->reported));
    Tcl_SetObjResult(s->interp, result);
  }
  end(s);
  return rc;
}

/* ---- one case */

static fuzz_file *fresh(series *s, int file) {
  fuzz_disk_copy(&s->c.disk, &s->c.base->now);
  s->c.copy_only = file == FUZZ_CATALOG;
  if (file != FUZZ_CATALOG) s->c.disk.file[FUZZ_CATALOG].missing = true;
  return &s->c.disk.file[file];
}

static bool judge(series *s) {
  bool ok = fuzz_judge(&s->c);
  const fuzz_state *seen = fuzz_seen();
  s->cases++;
  s->reported += seen->rc != SEQDB_OK || seen->problems > 0;
  return ok;
}

/* ---- bits, ends, runs */

static bool lonely_zero(const fuzz_file *file, uint64_t at) {
  for (uint64_t i = at > 16 ? at - 16 : 0; i <= at + 16; i++)
    if (fuzz_byte(file, i) != 0) return false;
  return true;
}

/* Inside a record, behind its header and first parts, one byte is as another: its checksum is over all of them. */
#define RECORD_PARTS_BYTES 256u
static bool inside_record(const fuzz_file *file, uint64_t at, int which) {
  uint64_t sector = at / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
  if (which != FUZZ_JOURNAL || at < SDB_JOURNAL_START) return false;
  bool begins =
      fuzz_byte(file, sector) == 's' && fuzz_byte(file, sector + 1) == 'q' && fuzz_byte(file, sector + 2) == 'r';
  return !begins || at - sector >= RECORD_PARTS_BYTES;
}

static int flips(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const ways[] = {"sparse", "all", NULL};
  series s;
  int which, way;
  (void)argc;
  if (begin(&s, interp, argv[0]) != TCL_OK || get_file(interp, argv[1], &which) != TCL_OK) return TCL_ERROR;
  if (Tcl_GetIndexFromObj(interp, argv[2], ways, "way", TCL_EXACT, &way) != TCL_OK) return TCL_ERROR;
  s.c.reading_only = true;
  const fuzz_file *sound = &s.c.base->now.file[which];
  uint64_t bytes = sound->stored;
  if (which == FUZZ_REGIONS) bytes = sdb_page_up(bytes); /* trailers of free pages too */
  bool ok = true;
  for (uint64_t at = 0; at < SDB_MIN(bytes, sound->size) && ok; at++) {
    bool once = way == 0 && (lonely_zero(sound, at) || inside_record(sound, at, which));
    if (once && at % 16 != 0) continue;
    for (unsigned bit = once ? at / 16 % 8 : 0; bit < 8 && ok; bit += once ? 8 : 1) {
      fuzz_file *file = fresh(&s, which);
      uint8_t byte = fuzz_byte(file, at) ^ (uint8_t)(1u << bit);
      snprintf(s.what, sizeof s.what, "%s: byte %llu bit %u", file_words[which], (unsigned long long)at, bit);
      fuzz_put(file, at, &byte, 1);
      ok = judge(&s);
    }
  }
  return finish(&s);
}

static int cuts(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  series s;
  int which;
  uint64_t step;
  (void)argc;
  if (begin(&s, interp, argv[0]) != TCL_OK || get_file(interp, argv[1], &which) != TCL_OK ||
      sdb_test_u64(interp, argv[2], &step) != TCL_OK)
    return TCL_ERROR;
  s.c.reading_only = step < PAGE;
  const fuzz_file *sound = &s.c.base->now.file[which];
  bool ok = true;
  for (uint64_t bytes = 0; bytes < sound->size && ok;
       bytes += bytes < sound->stored ? step : SDB_MAX(step, SDB_RECORD_ALIGN)) {
    snprintf(s.what, sizeof s.what, "%s: cut to %llu bytes", file_words[which], (unsigned long long)bytes);
    fuzz_resize(fresh(&s, which), bytes);
    ok = judge(&s);
  }
  return finish(&s);
}

static int zeros(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const uint8_t nothing[SEQDB_PAGE_BYTES];
  series s;
  int which;
  uint64_t run;
  (void)argc;
  if (begin(&s, interp, argv[0]) != TCL_OK || get_file(interp, argv[1], &which) != TCL_OK ||
      sdb_test_u64(interp, argv[2], &run) != TCL_OK)
    return TCL_ERROR;
  run = SDB_MIN(run, sizeof nothing);
  uint64_t stored = s.c.base->now.file[which].stored;
  bool ok = true;
  for (uint64_t at = 0; at < stored && ok; at += run) {
    fuzz_file *file = fresh(&s, which);
    snprintf(s.what, sizeof s.what, "%s: zeros at byte %llu", file_words[which], (unsigned long long)at);
    fuzz_put(file, at, nothing, (size_t)SDB_MIN(run, file->size - at));
    ok = judge(&s);
  }
  return finish(&s);
}

/* ---- values in fields */

typedef struct field {
  uint16_t at;
  uint8_t bytes; /* 2, 4 or 8 */
} field;

static void set_number(uint8_t *at, unsigned bytes, uint64_t value) {
  if (bytes == 8)
    sdb_put64(at, value);
  else if (bytes == 4)
    sdb_put32(at, (uint32_t)value);
  else
    sdb_put16(at, (uint16_t)value);
}

static uint64_t get_number(const uint8_t *at, unsigned bytes) {
  return bytes == 8 ? sdb_get64(at) : bytes == 4 ? sdb_get32(at) : sdb_get16(at);
}

/* The i-th value to try instead of `now`; false past the last. */
static bool value_of(size_t i, uint64_t now, uint64_t *value) {
  static const uint64_t near[] = {1, UINT64_MAX, 4096, UINT64_MAX - 4095, (uint64_t)1 << 20};
  if (i >= fuzz_hostile_count + sizeof near / sizeof near[0]) return false;
  *value = i < fuzz_hostile_count ? fuzz_hostile[i] : now + near[i - fuzz_hostile_count];
  return true;
}

/* All values of one field of `bytes` bytes at `at` of a file; seal() makes the checksum right. */
static bool try_field(series *s, int which, uint64_t at, const field *f, void (*seal)(fuzz_disk *disk, uint64_t at)) {
  uint8_t number[8];
  uint64_t value, now;
  bool ok = true;
  fuzz_get(&s->c.base->now.file[which], at + f->at, number, sizeof number);
  now = get_number(number, f->bytes);
  for (size_t i = 0; value_of(i, now, &value) && ok; i++)
    for (int how = 0; how < (which == FUZZ_REGIONS ? 3 : 2) && ok; how++) {
      fuzz_file *file = fresh(s, which);
      snprintf(s->what, sizeof s->what, "%s: byte %llu set to %llu%s", file_words[which],
               (unsigned long long)(at + f->at), (unsigned long long)value, how ? ", checksum right" : "");
      set_number(number, f->bytes, value);
      fuzz_put(file, at + f->at, number, f->bytes);
      if (how > 0) seal(&s->c.disk, at);
      if (how > 1) fuzz_match_header(&s->c.disk);
      ok = judge(s);
    }
  return ok;
}

static void seal_entry(fuzz_disk *disk, uint64_t at) {
  uint8_t page[SDB_ENTRY_BYTES];
  fuzz_get(&disk->file[FUZZ_REGIONS], at, page, sizeof page);
  fuzz_seal_entry(page, (uint32_t)(at / PAGE));
  fuzz_put(&disk->file[FUZZ_REGIONS], at, page, sizeof page);
}

static void seal_header(fuzz_disk *disk, uint64_t at) {
  uint8_t page[SDB_JOURNAL_HEADER_BYTES];
  fuzz_get(&disk->file[FUZZ_JOURNAL], at, page, sizeof page);
  fuzz_seal_header(page);
  fuzz_put(&disk->file[FUZZ_JOURNAL], at, page, sizeof page);
}

static void seal_record(fuzz_disk *disk, uint64_t at) {
  fuzz_seal_record(&disk->file[FUZZ_JOURNAL], at);
}

static int entries(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const field fields[] = {{0, 8}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {4032, 8}, {4040, 8}, {4048, 8}, {4088, 8}};
  series s;
  (void)argc;
  if (begin(&s, interp, argv[0]) != TCL_OK) return TCL_ERROR;
  uint64_t pages = s.c.base->now.file[FUZZ_REGIONS].stored / PAGE;
  bool ok = true;
  for (uint64_t page = 0; page < pages && ok; page += 2)
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && ok; i++)
      ok = try_field(&s, FUZZ_REGIONS, page * PAGE, &fields[i], seal_entry);
  return finish(&s);
}

static int headers(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const field fields[] = {{0, 8},  {8, 4},  {12, 4}, {16, 8}, {32, 8}, {40, 8},
                                 {48, 8}, {56, 8}, {64, 8}, {72, 8}, {80, 8}, {88, 8}};
  series s;
  (void)argc;
  if (begin(&s, interp, argv[0]) != TCL_OK) return TCL_ERROR;
  bool ok = true;
  for (uint64_t page = 0; page < 2 && ok; page++)
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && ok; i++)
      ok = try_field(&s, FUZZ_JOURNAL, page * PAGE, &fields[i], seal_header);
  return finish(&s);
}

static int records(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const field fields[] = {{4, 2},   {6, 2},   {8, 8},   {16, 8},  {24, 8},  {32, 8}, {40, 8},
                                 {64, 4},  {68, 4},  {72, 4},  {80, 8},  {88, 8},  {96, 8}, {128, 4},
                                 {132, 4}, {136, 8}, {144, 8}, {152, 8}, {160, 8}, {168, 8}};
  series s;
  (void)argc;
  if (begin(&s, interp, argv[0]) != TCL_OK) return TCL_ERROR;
  bool ok = true;
  for (size_t k = 0; k < s.c.base->records && ok; k++)
    for (size_t i = 0; i < sizeof fields / sizeof fields[0] && ok; i++)
      if (fields[i].at < s.c.base->record[k].bytes)
        ok = try_field(&s, FUZZ_JOURNAL, s.c.base->record[k].at, &fields[i], seal_record);
  return finish(&s);
}

static void seal_catalog(fuzz_disk *disk, uint64_t at) {
  (void)at;
  fuzz_seal_catalog(&disk->file[FUZZ_CATALOG]);
}

/* Of the head, of the first block and of its first items. */
static int catalogs(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const field head[] = {{8, 4},  {16, 8}, {24, 8}, {32, 8},  {40, 8},  {48, 8},
                               {56, 8}, {64, 8}, {96, 8}, {104, 8}, {112, 8}, {4088, 8}},
                     block[] = {{0, 4}, {4, 4}, {8, 4}, {12, 4}, {16, 8}},
                     item[] = {{0, 4}, {4, 2}, {6, 2}, {8, 8}, {16, 8}, {24, 8}, {32, 8}, {40, 8}};
  series s;
  (void)argc;
  if (begin(&s, interp, argv[0]) != TCL_OK) return TCL_ERROR;
  const fuzz_file *catalog = &s.c.base->now.file[FUZZ_CATALOG];
  bool ok = true;
  for (size_t i = 0; i < sizeof head / sizeof head[0] && ok; i++)
    ok = try_field(&s, FUZZ_CATALOG, 0, &head[i], seal_catalog);
  for (size_t i = 0; i < sizeof block / sizeof block[0] && ok; i++)
    ok = try_field(&s, FUZZ_CATALOG, SDB_CATALOG_HEAD_BYTES, &block[i], seal_catalog);
  uint64_t at = SDB_CATALOG_HEAD_BYTES + 24;
  for (int k = 0; k < 4 && at < catalog->stored && ok; k++) {
    uint8_t begin_of[8];
    for (size_t i = 0; i < sizeof item / sizeof item[0] && ok; i++)
      ok = try_field(&s, FUZZ_CATALOG, at, &item[i], seal_catalog);
    fuzz_get(catalog, at, begin_of, sizeof begin_of);
    at += sdb_get16(begin_of + 4) ? 48u + sdb_get16(begin_of + 4) : 8u;
  }
  return finish(&s);
}

/* ---- whole files */

static int whole_files(Tcl_Interp *interp, Tcl_Obj *const argv[], bool older) {
  series s;
  int count, which;
  Tcl_Obj **files;
  if (begin(&s, interp, argv[0]) != TCL_OK || Tcl_ListObjGetElements(interp, argv[1], &count, &files) != TCL_OK)
    return TCL_ERROR;
  fuzz_disk_copy(&s.c.disk, &s.c.base->now);
  s.c.disk.file[FUZZ_CATALOG].missing = true;
  for (int i = 0; i < count; i++) {
    if (get_file(interp, files[i], &which) != TCL_OK) return TCL_ERROR;
    fuzz_file *file = &s.c.disk.file[which];
    const fuzz_file *old = &s.c.base->old.file[which];
    file->missing = !older;
    if (!older) continue;
    fuzz_resize(file, 0);
    fuzz_put(file, 0, old->bytes, (size_t)old->stored);
    fuzz_resize(file, old->size);
  }
  snprintf(s.what, sizeof s.what, "%s: %s", older ? "older" : "lost", Tcl_GetString(argv[1]));
  (void)judge(&s);
  const fuzz_state *seen = fuzz_seen();
  const char *says = seen->rc != SEQDB_OK ? "refused" : seen->problems ? "damaged" : "ok";
  bool same = fuzz_same_regions(seen, &s.c.base->state[0][s.c.base->records]);
  int rc = finish(&s);
  if (rc == TCL_OK) Tcl_SetObjResult(interp, Tcl_ObjPrintf("says %s same %d", says, same));
  return rc;
}

static int older(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return whole_files(interp, argv, true);
}

static int lost(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return whole_files(interp, argv, false);
}

static int bases(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  Tcl_Obj *result = Tcl_NewListObj(0, NULL);
  series s = {.interp = interp};
  (void)argc;
  (void)argv;
  for (size_t i = 0; i < fuzz_base_count(); i++)
    Tcl_ListObjAppendElement(NULL, result, Tcl_NewStringObj(fuzz_base_get(i)->name, -1));
  end(&s);
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

int sdb_test_damage_init(Tcl_Interp *interp) {
  static const sdb_test_sub subs[] = {{"bases", 0, 0, "", bases},
                                      {"flips", 3, 3, "BASE FILE WAY", flips},
                                      {"cuts", 3, 3, "BASE FILE STEP", cuts},
                                      {"zeros", 3, 3, "BASE FILE BYTES", zeros},
                                      {"entries", 1, 1, "BASE", entries},
                                      {"headers", 1, 1, "BASE", headers},
                                      {"records", 1, 1, "BASE", records},
                                      {"catalogs", 1, 1, "BASE", catalogs},
                                      {"older", 2, 2, "BASE FILES", older},
                                      {"lost", 2, 2, "BASE FILES", lost},
                                      {NULL, 0, 0, NULL, NULL}};
  Tcl_CreateObjCommand(interp, "sdb_damage", sdb_test_dispatch, (ClientData)(uintptr_t)subs, NULL);
  return TCL_OK;
}
