/* SPDX-License-Identifier: MIT
**
** feed_make.c: see feed_make.h.
**
**   begin       the newest commit: with named tables a moment (moment.h), else a snapshot of the engine; then SQLite's
**               file is synced, so that the commit is settled
**   a part      keys of rows that may have changed; these rows; regions: as much as fits
**   the last    ends snapshot and read transaction; so do an error, another object, and the connection's end
**
**     +--------+--------------+------+------+---------+
**     | header | TABLE, TABLE | KEYS | ROWS | REGIONS |     the tables are in each part; the rest goes on
**     +--------+--------------+------+------+---------+
**
** Keys come before rows, in all tables: the follower removes all that may have changed, then puts what is there now.
** So values that were exchanged between rows are never in each other's way.
**
** Zeros are not sent where the follower makes them: in a region that is new to it, and, where a change reaches the end
** of one, behind the first long run of them.  There it cuts and extends the region, whatever it had.  So a region that
** was grown by zeros costs no more bytes, and is as sparse as upstream.
*/
#include "feed_make.h"
#include <string.h>
#include "agree.h"
#include "feed_tables.h"
#include "file.h"
#include "interrupt.h"
#include "moment.h"
#include "owner.h"

#define WORK        "seqdb_object"
#define PIECE_BYTES ((uint64_t)512 << 10) /* of content, in one change */
#define PIECE_LEAST ((uint64_t)4096)      /* a smaller one begins the next part */
#define ZEROS_BYTES ((size_t)64 << 10)    /* so many are a run that is not sent */

enum stage { STAGE_KEYS, STAGE_ROWS, STAGE_REGIONS, STAGE_END };

struct sdb_feed {
  sdb_connection *connection;
  char *origin; /* the table's name and path.  SQLite may close the directory between two parts, and open it anew */
  sdb_moment moment; /* with named tables */
  seqdb_snapshot *snapshot;
  seqdb_changes *changes;
  sdb_feed_table *tables;
  size_t count;
  uint64_t from, to;
  uint8_t chain[SEQDB_UUID_BYTES];
  enum stage stage;
  size_t table;
  sqlite3_stmt *rows; /* of the table, in this stage */
  bool row_waits;     /* it stands on a row that did not fit */
  bool change_waits;
  seqdb_change change;
  uint64_t written;     /* of its content */
  uint64_t length;      /* of its region */
  uint64_t zeros_entry; /* of the region whose rest the follower has made zeros; UINT64_MAX: none */
  uint32_t part;        /* made so far */
  uint64_t previous;    /* sum of its header */
  sdb_part out;
  bool full, begun; /* the part that is being made; it has something */
};

/* ---- its life ---------------------------------------------------------------------------------------------- */

/* What it holds is given back; what it was stays. */
static void release(sdb_feed *feed) {
  sqlite3_finalize(feed->rows);
  seqdb_changes_close(feed->changes);
  seqdb_snapshot_close(feed->snapshot);
  sdb_moment_close(&feed->moment);
  sdb_feed_tables_free(feed->tables, feed->count);
  sdb_part_free(&feed->out);
  feed->rows = NULL;
  feed->changes = NULL;
  feed->snapshot = NULL;
  feed->tables = NULL;
  feed->count = 0;
}

void sdb_feed_end(sdb_connection *connection) {
  sdb_feed *feed = connection->feed;
  if (!feed) return;
  release(feed);
  sqlite3_free(feed->origin);
  sqlite3_free(feed);
  connection->feed = NULL;
}

static char *origin_of(const sdb_directory *directory) {
  return sqlite3_mprintf("%s.%s %s", directory->schema, directory->name, directory->path);
}

/* The chain that the directory's commits are in, and since when its changes are known. */
static int open_changes(sdb_feed *feed, sdb_directory *directory, sdb_failure *f) {
  seqdb *engine = directory->engine;
  int rc = seqdb_snapshot_open(engine, &feed->snapshot);
  seqdb_get_uuid(engine, feed->chain);
  if (rc == SEQDB_OK) rc = seqdb_changes_open(engine, feed->snapshot, feed->from, &feed->to, &feed->changes);
  return rc == SEQDB_OK ? SQLITE_OK : sdb_failure_engine(f, engine, rc);
}

static int check_table(sdb_feed *feed, const sdb_directory *directory, const sdb_feed_table *table, sdb_failure *f) {
  sqlite3_int64 sign = 0;
  if (sdb_feed_table_sign(feed->moment.read, "main", directory->name, table, &sign, f) != SQLITE_OK) return f->code;
  if (sign != table->sign)
    return sdb_failure_set(
        f, SQLITE_SCHEMA,
        WORK
        ": the schema of table %s, or its triggers, have changed: SELECT seqdb_replicate('%s'), then a new base: "
        "%s('%s', 0)",
        table->name, directory->name, WORK, directory->name);
  if (feed->from == 0 || feed->from >= table->since) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_RANGE,
                         WORK
                         ": a gap: what has changed in table %s is known since generation %llu, and asked for since "
                         "%llu: a new base is needed: %s('%s', 0)",
                         table->name, (unsigned long long)table->since, (unsigned long long)feed->from, WORK,
                         directory->name);
}

/* The moment is taken: nobody commits. */
static int pin(sdb_feed *feed, sdb_directory *directory, sdb_failure *f) {
  bool found = false;
  sdb_row_key key;
  sdb_row row;
  int rc = sdb_row_key_take(directory->engine, &key);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, directory->engine, rc);
  if (sdb_row_lookup(feed->moment.read, "main", &key, &row, &found, f) != SQLITE_OK) return f->code;
  if (found && sdb_moment_agree(&feed->moment, directory, &row, f) != SQLITE_OK) return f->code;
  return open_changes(feed, directory, f);
}

static int begin_with_rows(sdb_feed *feed, sdb_directory *directory, sdb_failure *f) {
  sdb_moment *moment = &feed->moment;
  if (sdb_moment_open(moment, f) != SQLITE_OK || sdb_moment_take(moment, f) != SQLITE_OK) return f->code;
  pin(feed, directory, f);
  sdb_moment_let_go(moment);
  if (f->code != SQLITE_OK || sdb_file_sync(moment->read, "main", f) != SQLITE_OK) return f->code;
  if (sdb_feed_tables_list(moment->read, "main", directory->name, &feed->tables, &feed->count, f) != SQLITE_OK)
    return f->code;
  for (size_t i = 0; i < feed->count && f->code == SQLITE_OK; i++)
    check_table(feed, directory, &feed->tables[i], f);
  return f->code;
}

static int begin(sdb_feed *feed, sdb_directory *directory, sdb_failure *f) {
  bool rows = false;
  if (seqdb_has_changes(directory->engine) > 0)
    return sdb_failure_set(f, SQLITE_ERROR, WORK ": %s has changes that are not committed: COMMIT first",
                           directory->name);
  if (sdb_owner_may_upkeep(directory, f) != SQLITE_OK) return f->code;
  if (sdb_feed_tables_any(directory->connection->db, directory->schema, directory->name, &rows, f) != SQLITE_OK)
    return f->code;
  if (rows) return begin_with_rows(feed, directory, f);
  return open_changes(feed, directory, f) == SQLITE_OK ? sdb_agree_settle(directory, f) : f->code;
}

static sdb_feed *new_feed(sdb_directory *directory, uint64_t since, sdb_failure *f) {
  sdb_connection *connection = directory->connection;
  sdb_feed *feed = sqlite3_malloc64(sizeof *feed);
  char *origin = origin_of(directory);
  if (!feed || !origin) {
    sqlite3_free(feed);
    sqlite3_free(origin);
    sdb_failure_nomem(f);
    return NULL;
  }
  *feed = (sdb_feed){.connection = connection, .origin = origin, .from = since};
  feed->moment = (sdb_moment){.connection = connection, .schema = directory->schema, .work = WORK};
  feed->zeros_entry = UINT64_MAX;
  connection->feed = feed;
  connection->feed_end = sdb_feed_end;
  return feed;
}

/* ---- rows -------------------------------------------------------------------------------------------------- */

/* In the part, unless it is full; something goes into each part. */
static bool fits(sdb_feed *feed, size_t bytes) {
  feed->full = feed->begun && feed->out.bytes + bytes + SDB_SECTION_HEADER_BYTES > SDB_PART_BYTES_MAX;
  if (!feed->full) feed->begun = true;
  return !feed->full;
}

/* The notes of one table, each key once. */
static char *notes_sql(const sdb_feed *feed, const sdb_directory *directory, const sdb_feed_table *table) {
  char *keys = sdb_feed_table_keys(table, "k#", ", "), *sql = NULL;
  if (keys)
    sql = sqlite3_mprintf(
        "SELECT DISTINCT %s FROM \"%w_log\" WHERE name = %Q AND generation > %lld AND generation <= "
        "%lld",
        keys, directory->name, table->name, (sqlite3_int64)feed->from, (sqlite3_int64)feed->to);
  sqlite3_free(keys);
  return sql;
}

/* All rows of a base; else those that are noted and there. */
static char *rows_sql(const sdb_feed *feed, const sdb_directory *directory, const sdb_feed_table *table) {
  if (feed->from == 0) return sqlite3_mprintf("SELECT %s FROM \"%w\"", table->columns, table->name);
  char *notes = notes_sql(feed, directory, table), *sql = NULL;
  char *key = sdb_feed_table_keys(table, "$", ", ");
  if (notes && key)
    sql = sqlite3_mprintf("SELECT %s FROM \"%w\" WHERE (%s) IN (%s)", table->columns, table->name, key, notes);
  sqlite3_free(notes);
  sqlite3_free(key);
  return sql;
}

static bool add_row(sdb_feed *feed, enum sdb_section_kind kind) {
  int columns = sqlite3_column_count(feed->rows);
  size_t bytes = 0;
  for (int i = 0; i < columns; i++)
    bytes += sdb_value_part_bytes(sqlite3_column_value(feed->rows, i));
  if (!fits(feed, bytes)) return false;
  sdb_part_section(&feed->out, kind, (uint32_t)feed->table);
  sdb_part_item(&feed->out);
  for (int i = 0; i < columns; i++)
    sdb_part_value(&feed->out, sqlite3_column_value(feed->rows, i));
  return true;
}

/* Rows of the present table until the part is full, or there is none. */
static int add_rows(sdb_feed *feed, enum sdb_section_kind kind, sdb_failure *f) {
  while (!feed->full && !feed->out.no_memory) {
    int rc = feed->row_waits ? SQLITE_ROW : sqlite3_step(feed->rows);
    if (rc == SQLITE_DONE) break;
    if (rc != SQLITE_ROW) return sdb_failure_nested(f, feed->moment.read);
    feed->row_waits = !add_row(feed, kind);
    if (sdb_connection_interrupted(feed->connection)) return sdb_failure_set(f, SQLITE_INTERRUPT, WORK ": interrupted");
  }
  return f->code;
}

static int add_table_rows(sdb_feed *feed, const sdb_directory *directory, sdb_failure *f) {
  bool keys = feed->stage == STAGE_KEYS;
  if (feed->table == feed->count || (keys && feed->from == 0)) {
    feed->stage++;
    feed->table = 0;
    return SQLITE_OK;
  }
  const sdb_feed_table *table = &feed->tables[feed->table];
  if (!feed->rows)
    feed->rows = sdb_feed_prepare(feed->moment.read,
                                  keys ? notes_sql(feed, directory, table) : rows_sql(feed, directory, table), f);
  if (!feed->rows || add_rows(feed, keys ? SDB_SECTION_KEYS : SDB_SECTION_ROWS, f) != SQLITE_OK || feed->full)
    return f->code;
  sqlite3_finalize(feed->rows);
  feed->rows = NULL;
  feed->table++;
  return SQLITE_OK;
}

/* ---- regions ----------------------------------------------------------------------------------------------- */

static int next_change(sdb_feed *feed, seqdb *engine, sdb_failure *f) {
  feed->change = (seqdb_change)SEQDB_CHANGE_INIT;
  int rc = seqdb_changes_next(feed->changes, &feed->change);
  feed->written = 0;
  feed->change_waits = rc == SEQDB_OK;
  if (rc == SEQDB_DONE) feed->stage = STAGE_END;
  return rc == SEQDB_OK || rc == SEQDB_DONE ? SQLITE_OK : sdb_failure_engine(f, engine, rc);
}

static bool is_zero(const uint8_t *piece, size_t bytes) {
  return piece[0] == 0 && memcmp(piece, piece + 1, bytes - 1) == 0;
}

/* The run that the data begin with: of blocks that are zeros, or, if the first one is not, up to one that is. */
static size_t run_of(const uint8_t *data, size_t bytes, bool *zeros) {
  size_t at = 0, block = bytes < ZEROS_BYTES ? bytes : ZEROS_BYTES;
  *zeros = is_zero(data, block);
  for (; at < bytes; at += block) {
    block = bytes - at < ZEROS_BYTES ? bytes - at : ZEROS_BYTES;
    if (is_zero(data + at, block) != *zeros && (*zeros || block == ZEROS_BYTES)) break;
  }
  return at;
}

/* May zeros of this change be left out?  What it says reaches the end, and no other one says more behind it. */
static bool leaves_out(const sdb_feed *feed) {
  const seqdb_change *c = &feed->change;
  return feed->zeros_entry == c->entry || c->offset + c->bytes == feed->length;
}

static void add_length(sdb_feed *feed, uint64_t length) {
  const seqdb_change *c = &feed->change;
  sdb_region_change change = {.op = SEQDB_CHANGE_LENGTH, .entry = c->entry, .created = c->created, .offset = length};
  sdb_part_item(&feed->out);
  sdb_part_change(&feed->out, &change);
}

/* A run of zeros.  Unless the follower has made them already it cuts the region there, and extends it. */
static void add_zeros(sdb_feed *feed, uint64_t from) {
  if (feed->zeros_entry == feed->change.entry) return;
  add_length(feed, from);
  add_length(feed, feed->length);
  feed->zeros_entry = feed->change.entry;
}

/* A piece of content, up to a run of zeros that need not be sent; or such a run. */
static int add_piece(sdb_feed *feed, seqdb *engine, sdb_failure *f) {
  sdb_part *out = &feed->out;
  const seqdb_change *c = &feed->change;
  sdb_region_change piece = {.op = c->op, .entry = c->entry, .created = c->created};
  uint64_t left = c->bytes - feed->written;
  bool zeros = false;
  size_t got = 0, least = (size_t)(left < PIECE_LEAST ? left : PIECE_LEAST) + 2 * SDB_REGION_CHANGE_BYTES;
  if (!fits(feed, least)) return SQLITE_OK;
  uint64_t room = SDB_PART_BYTES_MAX - out->bytes - SDB_SECTION_HEADER_BYTES - SDB_REGION_CHANGE_BYTES;
  piece.bytes = left < PIECE_BYTES ? left : PIECE_BYTES;
  if (piece.bytes > room) piece.bytes = room;
  piece.offset = c->offset + feed->written;
  sdb_part_section(out, SDB_SECTION_REGIONS, 0);
  size_t before = out->bytes;
  sdb_part_change(out, &piece); /* the header again below, when it is known how much is sent */
  uint8_t *data = sdb_part_room(out, (size_t)piece.bytes);
  if (!data) return SQLITE_OK;
  int rc =
      seqdb_read_copy(seqdb_snapshot_view(feed->snapshot), c->region, piece.offset, data, (size_t)piece.bytes, &got);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, engine, rc);
  if (got != piece.bytes)
    return sdb_failure_set(f, SQLITE_INTERNAL, WORK ": entry %u ends before byte %llu, which has changed", c->entry,
                           (unsigned long long)(piece.offset + piece.bytes));
  if (leaves_out(feed)) piece.bytes = run_of(data, got, &zeros);
  out->bytes = before;
  if (zeros && (feed->zeros_entry == c->entry || piece.bytes >= ZEROS_BYTES)) {
    add_zeros(feed, piece.offset);
  } else {
    sdb_part_item(out);
    sdb_part_change(out, &piece);
    (void)sdb_part_room(out, (size_t)piece.bytes);
  }
  feed->written += piece.bytes;
  feed->change_waits = feed->written < c->bytes;
  return SQLITE_OK;
}

static void add_small(sdb_feed *feed) {
  const seqdb_change *c = &feed->change;
  bool named = c->op == SEQDB_CHANGE_CREATE || c->op == SEQDB_CHANGE_RENAME;
  size_t bytes = named ? c->name_bytes : 0;
  if (!fits(feed, SDB_REGION_CHANGE_BYTES + bytes)) return;
  if (c->op == SEQDB_CHANGE_CREATE) feed->zeros_entry = c->entry;
  if (c->op == SEQDB_CHANGE_LENGTH) feed->length = c->offset;
  sdb_region_change change = {.op = c->op, .entry = c->entry, .created = c->created, .offset = c->offset};
  change.bytes = bytes;
  sdb_part_section(&feed->out, SDB_SECTION_REGIONS, 0);
  sdb_part_item(&feed->out);
  sdb_part_change(&feed->out, &change);
  uint8_t *name = sdb_part_room(&feed->out, bytes);
  if (name && bytes > 0) memcpy(name, c->name, bytes);
  feed->change_waits = false;
}

static int add_regions(sdb_feed *feed, seqdb *engine, sdb_failure *f) {
  if (!feed->change_waits && next_change(feed, engine, f) != SQLITE_OK) return f->code;
  if (feed->stage == STAGE_END) return SQLITE_OK;
  if (sdb_connection_interrupted(feed->connection)) return sdb_failure_set(f, SQLITE_INTERRUPT, WORK ": interrupted");
  if (feed->change.op == SEQDB_CHANGE_WRITE && feed->change.bytes > 0) return add_piece(feed, engine, f);
  add_small(feed);
  return SQLITE_OK;
}

/* ---- a part ------------------------------------------------------------------------------------------------ */

static void add_tables(sdb_feed *feed) {
  for (size_t i = 0; i < feed->count; i++) {
    sdb_part_section(&feed->out, SDB_SECTION_TABLE, (uint32_t)i);
    sdb_part_item(&feed->out);
    sdb_part_text(&feed->out, feed->tables[i].name);
    sdb_part_text(&feed->out, feed->tables[i].schema);
  }
}

static int make_part(sdb_feed *feed, sdb_directory *directory, sdb_part_header *header, sdb_failure *f) {
  feed->full = feed->begun = false;
  sdb_part_begin(&feed->out);
  add_tables(feed);
  while (f->code == SQLITE_OK && !feed->full && !feed->out.no_memory && feed->stage != STAGE_END) {
    if (feed->stage == STAGE_REGIONS)
      add_regions(feed, directory->engine, f);
    else
      add_table_rows(feed, directory, f);
  }
  if (f->code != SQLITE_OK) return f->code;
  *header = (sdb_part_header){.kind = feed->from == 0 ? SDB_OBJECT_BASE : SDB_OBJECT_CHANGE,
                              .part = ++feed->part,
                              .last = feed->stage == STAGE_END,
                              .from = feed->from,
                              .to = feed->to,
                              .previous = feed->previous};
  memcpy(header->chain, feed->chain, sizeof header->chain);
  if (sdb_part_finish(&feed->out, header, f) == SQLITE_OK) feed->previous = header->sum;
  return f->code;
}

/* The one that is in the making, if that part comes next; else NULL. */
static sdb_feed *continued(sdb_directory *directory, uint64_t since, uint32_t part, sdb_failure *f) {
  sdb_feed *feed = directory->connection->feed;
  uint8_t chain[SEQDB_UUID_BYTES];
  char *origin = origin_of(directory);
  if (!origin) {
    sdb_failure_nomem(f);
    return NULL;
  }
  seqdb_get_uuid(directory->engine, chain);
  bool same =
      feed && feed->from == since && strcmp(feed->origin, origin) == 0 && memcmp(feed->chain, chain, sizeof chain) == 0;
  sqlite3_free(origin);
  if (same && part == feed->part + 1) return feed;
  sdb_failure_set(f, SQLITE_ERROR,
                  WORK
                  ": part %u of '%s' since %llu does not come next: parts are asked for in order, from 1 on, by one "
                  "connection that has the table open, so that all are of one commit",
                  part, directory->name, (unsigned long long)since);
  return NULL;
}

int sdb_feed_make(sdb_directory *directory, uint64_t since, uint32_t part, uint8_t **data, sdb_part_header *header,
                  sdb_failure *f) {
  sdb_feed *feed;
  *data = NULL;
  if (part == 1) {
    sdb_feed_end(directory->connection);
    if (!(feed = new_feed(directory, since, f)) || begin(feed, directory, f) != SQLITE_OK) goto failed;
    if (feed->to == since && since > 0) feed->stage = STAGE_END;
    if (feed->stage == STAGE_END) release(feed);
  } else if (!(feed = continued(directory, since, part, f))) {
    return f->code;
  }
  if (feed->stage == STAGE_END) return SQLITE_OK;
  if (make_part(feed, directory, header, f) != SQLITE_OK) goto failed;
  *data = feed->out.data;
  feed->out.data = NULL;
  sdb_part_free(&feed->out);
  if (header->last) release(feed);
  return SQLITE_OK;
failed:
  sdb_feed_end(directory->connection);
  return f->code;
}
