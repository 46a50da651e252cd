/* SPDX-License-Identifier: MIT
**
** matched.c: what the running UPDATE ... FROM has changed, and how those rows were before.
**
** SQLite calls xUpdate once for each match of a row.  Older ones (3.40, not 3.52) do not mark the columns that are not
** set: each comes as the scan found it, and what a match asks for is seen by comparison (update.c).  That has to be
** compared with the row as the statement found it, and not as the match before it left it:
**
**     length 4, SET content = 'X', two matches      -> both give length 4, which now is 1
**
** A column that one match was seen to set is set by the others as well, also where they give what the row had before.
*/
#include "matched.h"

#define CAPACITY_FIRST 16

/* Its row, or the free place for it.  There always is a free one. */
static sdb_matched_row *place_of(sdb_matched_row *rows, size_t capacity, uint64_t rowid) {
  size_t at = (size_t)(rowid * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (capacity - 1);
  while (rows[at].rowid != 0 && rows[at].rowid != rowid)
    at = (at + 1) & (capacity - 1);
  return &rows[at];
}

static int grow(sdb_matched *matched, sdb_failure *f) {
  size_t capacity = matched->capacity ? matched->capacity * 2 : CAPACITY_FIRST;
  sdb_matched_row *rows = sqlite3_malloc64(capacity * sizeof *rows);
  if (!rows) return sdb_failure_nomem(f);
  for (size_t i = 0; i < capacity; i++)
    rows[i] = (sdb_matched_row){0, 0};
  for (size_t i = 0; i < matched->capacity; i++) {
    if (matched->rows[i].rowid != 0) *place_of(rows, capacity, matched->rows[i].rowid) = matched->rows[i];
  }
  sqlite3_free(matched->rows);
  matched->rows = rows;
  matched->capacity = capacity;
  return SQLITE_OK;
}

const sdb_matched_row *sdb_matched_find(const sdb_matched *matched, uint64_t rowid) {
  if (matched->count == 0) return NULL;
  const sdb_matched_row *row = place_of(matched->rows, matched->capacity, rowid);
  return row->rowid != 0 ? row : NULL;
}

int sdb_matched_add(sdb_matched *matched, uint64_t rowid, uint64_t length_bytes, sdb_failure *f) {
  if (sdb_matched_find(matched, rowid)) return SQLITE_OK;
  if (matched->count >= matched->capacity / 2 && grow(matched, f) != SQLITE_OK) return f->code;
  *place_of(matched->rows, matched->capacity, rowid) = (sdb_matched_row){rowid, length_bytes};
  matched->count++;
  return SQLITE_OK;
}

void sdb_matched_clear(sdb_matched *matched) {
  sqlite3_free(matched->rows);
  *matched = (sdb_matched){0};
}
