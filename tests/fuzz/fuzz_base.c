/* SPDX-License-Identifier: MIT
**
** fuzz_base.c: the databases that are damaged: closed, killed, killed between a checkpoint and the next commit, with an
** undecided prepare, without syncs, and as rawdb would leave one.  See fuzz.h. Each is made by the engine itself, the
** same way every time, and kept in memory with all states that its journal leads to. THREADS: one.
*/
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"
#include "disk/os_faults.h"
#include "disk/os_sim.h"

static void must(int rc, const char *what) {
  if (rc >= 0) return;
  fprintf(stderr, "preparing a database: %s: %s\n", what, seqdb_strerror(rc));
  abort();
}

static seqdb *open_base(unsigned flags, const char *coordinator) {
  seqdb_options options = {.size_bytes = sizeof options, .flags = flags, .coordinator = coordinator};
  seqdb *db = NULL;
  must(seqdb_open(FUZZ_DIR, &options, NULL, &db), "open");
  return db;
}

static void flush(seqdb *db) {
  must(seqdb_flush(db, NULL), "flush");
}

static seqdb_region region(seqdb *db, const char *name) {
  seqdb_region number = 0;
  must(seqdb_find_or_create(db, name, strlen(name), &number, NULL), "create");
  return number;
}

/* Append `bytes` bytes that depend on name and place. */
static void grow(seqdb *db, const char *name, size_t bytes) {
  uint8_t *text = fuzz_memory(NULL, bytes);
  uint64_t state = sdb_hash_bytes(name, strlen(name), bytes);
  for (size_t i = 0; i < bytes; i++) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    text[i] = (uint8_t)(state >> 56);
  }
  must(seqdb_append(db, region(db, name), text, bytes, NULL), "append");
  free(text);
}

static void overwrite(seqdb *db, const char *name, uint64_t at, const char *text) {
  must(seqdb_write(db, region(db, name), at, text, strlen(text)), "write");
}

static void erase(seqdb *db, const char *name) {
  must(seqdb_remove(db, region(db, name)), "remove");
}

static void become(seqdb *db, const char *name, const char *other) {
  must(seqdb_rename(db, region(db, name), other, strlen(other)), "rename");
}

/* ---- sessions */

static void fill(unsigned flags) {
  char longest[300];
  memset(longest, 'x', sizeof longest - 1);
  longest[sizeof longest - 1] = '\0';
  seqdb *db = open_base(flags | SEQDB_OPEN_CREATE, NULL);
  grow(db, "alpha", 5000);
  grow(db, "beta", 100);
  (void)region(db, "empty");
  flush(db);
  grow(db, "gone", 9000);
  grow(db, "d\xc3\xa9lta", 20000);
  grow(db, longest, 10);
  flush(db);
  grow(db, "last", 4096);
  erase(db, "gone");
  flush(db);
  seqdb_close(db);
}

/* Commits of every kind; they stay in the journal as long as the database is open. */
static void change(seqdb *db) {
  grow(db, "beta", 50);
  flush(db);
  overwrite(db, "alpha", 4090, "overwritten");
  flush(db);
  grow(db, "bulk", 80000);
  (void)region(db, "new");
  flush(db);
  erase(db, "empty");
  become(db, "last", "renamed");
  flush(db);
  must(seqdb_truncate(db, region(db, "alpha"), 1000), "truncate");
  grow(db, "alpha", 10);
  flush(db);
}

/* What a killed process leaves, without most of the zeros that it wrote ahead. */
static void take(fuzz_disk *disk, seqdb *db) {
  fuzz_disk_load(disk);
  fuzz_resize(&disk->file[FUZZ_JOURNAL], sdb_page_up(disk->file[FUZZ_JOURNAL].stored) + SDB_PAGE);
  (void)seqdb_rollback(db);
  seqdb_close(db);
}

static void make_empty(fuzz_base *base) {
  seqdb_close(open_base(SEQDB_OPEN_CREATE, NULL));
  fuzz_disk_load(&base->old);
  fuzz_disk_load(&base->now);
}

static void make_closed(fuzz_base *base) {
  fill(0);
  fuzz_disk_load(&base->old);
  seqdb *db = open_base(0, NULL);
  change(db);
  seqdb_close(db);
  fuzz_disk_load(&base->now);
}

static void make_killed(fuzz_base *base) {
  fill(0);
  fuzz_disk_load(&base->old);
  seqdb *db = open_base(0, NULL);
  change(db);
  take(&base->now, db);
}

/* Never checkpointed: everything is in the journal. */
static void make_young(fuzz_base *base) {
  seqdb *db = open_base(SEQDB_OPEN_CREATE, NULL);
  grow(db, "alpha", 700);
  flush(db);
  fuzz_disk_load(&base->old);
  grow(db, "beta", 5000);
  overwrite(db, "alpha", 0, "0123456789");
  flush(db);
  take(&base->now, db);
}

/* Old records, longer than the new ones, lie behind these. */
static void make_checkpointed(fuzz_base *base) {
  fill(0);
  seqdb *db = open_base(0, NULL);
  change(db);
  fuzz_disk_load(&base->old);
  must(seqdb_checkpoint(db), "checkpoint");
  grow(db, "beta", 7);
  flush(db);
  overwrite(db, "beta", 3, "BETA");
  flush(db);
  take(&base->now, db);
}

/* Killed before its first commit, recovered, written on: both header pages describe the same entries. */
static void make_twice(fuzz_base *base) {
  fill(0);
  seqdb *db = open_base(0, NULL);
  grow(db, "beta", 5);
  flush(db);
  must(seqdb_checkpoint(db), "checkpoint");
  take(&base->old, db);
  fuzz_disk_store(&base->old);
  db = open_base(0, NULL);
  grow(db, "beta", 9);
  flush(db);
  take(&base->now, db);
}

static void make_prepared(fuzz_base *base) {
  fill(0);
  fuzz_disk_load(&base->old);
  seqdb *db = open_base(0, "/somewhere/host.db");
  grow(db, "beta", 10);
  must(seqdb_prepare(db, NULL, NULL), "prepare");
  grow(db, "beta", 10);
  must(seqdb_prepare(db, NULL, NULL), "prepare");
  seqdb_publish(db);
  overwrite(db, "alpha", 0, "kept");
  flush(db);
  overwrite(db, "alpha", 4, "undecided");
  erase(db, "last");
  must(seqdb_prepare(db, NULL, NULL), "prepare");
  take(&base->now, db);
}

static void make_unsynced(fuzz_base *base) {
  fill(SEQDB_OPEN_SYNC_OFF);
  fuzz_disk_load(&base->old);
  seqdb *db = open_base(SEQDB_OPEN_SYNC_OFF, NULL);
  change(db);
  take(&base->now, db);
  base->sync_off = true;
}

static void make_rawdb(fuzz_base *base) {
  static const uint8_t zeros[SDB_ENTRY_BYTES - SDB_ENTRY_TRAILER_OFF];
  fill(0);
  fuzz_disk_load(&base->old);
  fuzz_disk_load(&base->now);
  fuzz_file *regions = &base->now.file[FUZZ_REGIONS];
  for (uint64_t at = 0; at < regions->size; at += SDB_ENTRY_BYTES)
    fuzz_put(regions, at + SDB_ENTRY_TRAILER_OFF, zeros, sizeof zeros);
  base->now.file[FUZZ_JOURNAL] = (fuzz_file){.missing = true, .bytes = base->now.file[FUZZ_JOURNAL].bytes};
}

static const struct {
  const char *name;
  void (*make)(fuzz_base *base);
} makers[] = {{"empty", make_empty},
              {"closed", make_closed},
              {"killed", make_killed},
              {"young", make_young},
              {"checkpointed", make_checkpointed},
              {"twice", make_twice},
              {"prepared", make_prepared},
              {"unsynced", make_unsynced},
              {"rawdb", make_rawdb}};
#define BASES (sizeof makers / sizeof makers[0])

/* ---- the states of its journal */

static void list_states(fuzz_base *base) {
  const fuzz_file *journal = &base->now.file[FUZZ_JOURNAL];
  uint64_t salt = 0, at = SDB_JOURNAL_START;
  int newest = fuzz_newest_header(journal);
  fuzz_disk cut = {0};
  if (newest >= 0) {
    uint8_t field[8];
    fuzz_get(journal, (uint64_t)newest * SDB_JOURNAL_HEADER_BYTES + 40, field, sizeof field);
    salt = sdb_get64(field);
  }
  for (sdb_record_header header; base->records < FUZZ_RECORDS_MAX; base->records++) {
    uint8_t *record;
    if (newest < 0 || !fuzz_whole_record(journal, at, &header, &record)) break;
    free(record);
    if (header.salt != salt) break;
    base->record[base->records].at = at;
    base->record[base->records].bytes = header.bytes;
    at = (at + header.bytes + SDB_RECORD_ALIGN - 1) / SDB_RECORD_ALIGN * SDB_RECORD_ALIGN;
  }
  for (size_t k = 0; k <= base->records; k++) {
    fuzz_disk_copy(&cut, &base->now);
    if (k < base->records) fuzz_resize(&cut.file[FUZZ_JOURNAL], base->record[k].at);
    for (int drop = 0; drop < 2; drop++) {
      fuzz_disk_store(&cut);
      if (!fuzz_look(SEQDB_OPEN_READONLY | (drop ? SEQDB_OPEN_RESOLVE_DROP : 0), &base->state[drop][k]) ||
          base->state[drop][k].rc != SEQDB_OK || base->state[drop][k].problems) {
        fprintf(stderr, "base %s with %zu records is not sound: %s\n", base->name, k, fuzz_problem());
        abort();
      }
    }
  }
  fuzz_disk_free(&cut);
}

size_t fuzz_base_count(void) {
  return BASES;
}

const fuzz_base *fuzz_base_get(size_t number) {
  static fuzz_base bases[BASES];
  static bool made;
  for (size_t i = 0; i < BASES && !made; i++) {
    bases[i].name = makers[i].name;
    sdb_fault_set_random(i + 1);
    sdb_sim_reset();
    makers[i].make(&bases[i]);
    list_states(&bases[i]);
  }
  made = true;
  return &bases[number];
}
