/* SPDX-License-Identifier: MIT
**
** reader.c: one region, read from beginning to end as it was at one moment: for chunks, values, sums and exports.
**
** Without changes of the own transaction that is a snapshot: whatever others overwrite, remove or compact meanwhile, it
** stays.  With changes it is the engine's own view, where the writer lock keeps everybody else out.  The statement that
** reads may still change the region: the length is that of the beginning, and bytes that were cut since are an error.
** So is the end of the transaction, because after it others may change what was not read yet.
*/
#include "attach.h"
#include "find_table.h"
#include "reader.h"
#include "value.h"

seqdb_view *sdb_reader_view(sdb_reader *reader) {
  return reader->snapshot ? seqdb_snapshot_view(reader->snapshot) : seqdb_own_view(reader->directory->engine);
}

void sdb_reader_close(sdb_reader *reader) {
  seqdb_snapshot_close(reader->snapshot);
  if (reader->directory) sdb_directory_release(reader->directory);
  *reader = (sdb_reader){0};
}

/* The directory is held: the reader takes it over. */
static int use(sdb_reader *reader, sdb_directory *directory, sdb_failure *f) {
  bool own = seqdb_has_changes(directory->engine) != 0;
  if (reader->directory == directory && reader->snapshot && !own) {
    sdb_directory_release(directory);
    return SQLITE_OK;
  }
  sdb_reader_close(reader);
  reader->directory = directory;
  reader->ends = directory->transaction.ends;
  if (own) return SQLITE_OK;
  return sdb_failure_engine(f, directory->engine, seqdb_snapshot_open(directory->engine, &reader->snapshot));
}

static int find(sdb_reader *reader, const char *name, size_t name_bytes, bool *found, sdb_failure *f) {
  seqdb_view *view = sdb_reader_view(reader);
  seqdb_region_info info;
  sdb_shown_name(name, name_bytes, reader->shown);
  int rc = seqdb_find(view, name, name_bytes, &reader->region);
  if (rc == SEQDB_OK) rc = seqdb_get_info(view, reader->region, &info);
  if (rc == SEQDB_NOTFOUND || rc == SEQDB_INVALID) return SQLITE_OK;
  if (rc != SEQDB_OK) return sdb_failure_engine(f, reader->directory->engine, rc);
  reader->length_bytes = info.length_bytes;
  *found = true;
  return SQLITE_OK;
}

int sdb_reader_open(sdb_reader *reader, sdb_connection *connection, const char *function, sqlite3_value *const *t_name,
                    bool *found, sdb_failure *f) {
  sdb_directory *directory = NULL;
  const char *name = NULL;
  size_t name_bytes = 0;
  bool is_null = sqlite3_value_type(t_name[1]) == SQLITE_NULL;
  *found = false;
  if (!is_null && sdb_value_name(function, ": name", t_name[1], &name, &name_bytes, f) != SQLITE_OK) return f->code;
  if (sdb_find_table(connection, t_name[0], &directory, f) != SQLITE_OK) return f->code;
  if (use(reader, directory, f) == SQLITE_OK && !is_null) find(reader, name, name_bytes, found, f);
  if (f->code != SQLITE_OK) sdb_reader_close(reader);
  return f->code;
}

const void *sdb_reader_map(sdb_reader *reader, uint64_t offset, uint64_t bytes) {
  const void *data = NULL;
  if (!reader->snapshot) return NULL;
  return seqdb_read(sdb_reader_view(reader), reader->region, offset, bytes, &data) == SEQDB_OK ? data : NULL;
}

int sdb_reader_copy(sdb_reader *reader, uint64_t offset, void *buffer, size_t bytes, sdb_failure *f) {
  sdb_directory *directory = reader->directory;
  size_t got = 0;
  if (!reader->snapshot && directory->transaction.ends != reader->ends) {
    return sdb_failure_set(f, SQLITE_ABORT, "region '%s': the transaction whose changes were being read has ended",
                           reader->shown);
  }
  int rc = seqdb_read_copy(sdb_reader_view(reader), reader->region, offset, buffer, bytes, &got);
  if (rc != SEQDB_OK && rc != SEQDB_NOTFOUND) return sdb_failure_engine(f, directory->engine, rc);
  if (rc == SEQDB_OK && got == bytes) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ABORT, "region '%s': this transaction has cut or removed it while it was being read",
                         reader->shown);
}
