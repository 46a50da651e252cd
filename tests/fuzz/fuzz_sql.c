/* SPDX-License-Identifier: MIT
**
** fuzz_sql.c: fuzz target: SQL against the extension, with the directories on the simulated disk.
**
** INPUT.  Two bytes of options; then text.  A byte from 128 on stands for a word or a phrase of the list below, so that
** a random byte is seldom nonsense; byte 1 changes to the other of two connections to one file; the rest is SQL as it
** stands. The first byte chooses the host file (in memory, or a file with some journal mode) and what fails: no call,
** or the Nth allocation or write, N being the second byte.
**
** WHAT MUST HOLD.  No crash, hang or leak; connections close; afterwards check finds nothing in any database, through
** SQL and through the engine alone.  Work is bounded by limits and a progress handler. SAFETY.  The working directory
** is a private one whose name puts relative paths on the simulated disk; every other directory is refused where the
** engine asks the system for it, and SQLite's own files by an authorizer. THREADS: one.
*/
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "disk/os_faults.h"
#include "disk/os_sim.h"
#include "seqdb.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
int sqlite3_seqdb_init(sqlite3 *db, char **error, const void *api);
int __wrap_sdb_real_open_dir(const char *path, sdb_fd *dir);
int __wrap_sdb_real_make_dir(const char *path, bool own);

#define TEXT_MAX       20000
#define TICKS_MAX      300 /* of 500 steps of SQLite's machine: for all statements of an input */
#define STATEMENTS_MAX 60
#define FILE_MAX       ((uint64_t)1 << 30)

static const char *const words[128] = {"INSERT INTO r(name, content) VALUES(",
                                       "INSERT INTO r(name, append) VALUES(",
                                       "INSERT INTO r(name, length) VALUES(",
                                       "INSERT OR REPLACE INTO r(name, content) ",
                                       "INSERT OR IGNORE INTO r(name, append) ",
                                       "UPDATE r SET ",
                                       "DELETE FROM r ",
                                       "SELECT ",
                                       "SELECT * FROM r ",
                                       " WHERE name = ",
                                       " WHERE rowid = ",
                                       " WHERE name IN (",
                                       " ORDER BY rowid ",
                                       " FROM r ",
                                       "seqdb_append('r', ",
                                       "seqdb_write('r', ",
                                       "seqdb_read('r', ",
                                       "seqdb_truncate('r', ",
                                       "seqdb_truncate_write('r', ",
                                       "seqdb_reserve('r', ",
                                       "seqdb_flush('r')",
                                       "seqdb_compact('r')",
                                       "seqdb_check('r')",
                                       "seqdb_stat('r')",
                                       "INSERT INTO r(r) VALUES('flush')",
                                       "INSERT INTO r(r) VALUES('compact')",
                                       "INSERT INTO r(r) VALUES('check')",
                                       "INSERT INTO r(r) VALUES('checkpoint')",
                                       "seqdb_layout('r')",
                                       "seqdb_regions('d')",
                                       "seqdb_chunks('r', ",
                                       "seqdb_values('r', ",
                                       "seqdb_compaction('r')",
                                       "BEGIN;",
                                       "BEGIN IMMEDIATE;",
                                       "COMMIT;",
                                       "ROLLBACK;",
                                       "SAVEPOINT a;",
                                       "SAVEPOINT b;",
                                       "RELEASE a;",
                                       "RELEASE b;",
                                       "ROLLBACK TO a;",
                                       "ROLLBACK TO b;",
                                       "CREATE VIRTUAL TABLE ",
                                       " USING seqdb('d');",
                                       " USING seqdb('e');",
                                       " USING seqdb(",
                                       "DROP TABLE r;",
                                       "DROP TABLE q;",
                                       "ALTER TABLE r RENAME TO q;",
                                       "ALTER TABLE q RENAME TO r;",
                                       "CREATE TABLE u AS SELECT * FROM r;",
                                       "DROP TABLE u;",
                                       "CREATE TRIGGER g AFTER INSERT ON t BEGIN ",
                                       " END;",
                                       "DROP TRIGGER g;",
                                       "INSERT INTO t VALUES(1, 2);",
                                       "UPDATE t SET a = a + 1;",
                                       "DELETE FROM t;",
                                       "r",
                                       "q",
                                       "t",
                                       "name",
                                       "content",
                                       "length",
                                       "offset",
                                       "reserved",
                                       "append",
                                       "rowid",
                                       "'a'",
                                       "'b'",
                                       "'c'",
                                       "'log'",
                                       "''",
                                       "x'00'",
                                       "zeroblob(10)",
                                       "zeroblob(5000)",
                                       "zeroblob(70000)",
                                       "randomblob(100)",
                                       "NULL",
                                       "0",
                                       "1",
                                       "2",
                                       "-1",
                                       "10",
                                       "4095",
                                       "4096",
                                       "4097",
                                       "65536",
                                       "1000000",
                                       "9223372036854775807",
                                       "-9223372036854775808",
                                       "1e300",
                                       "1 << 31",
                                       ", ",
                                       ") ",
                                       "(",
                                       ");",
                                       "; ",
                                       " = ",
                                       " || ",
                                       " AND ",
                                       " OR ",
                                       "CASE WHEN ",
                                       " THEN ",
                                       " ELSE ",
                                       " END",
                                       "EXISTS(",
                                       " IN (",
                                       "substr(content, ",
                                       "length(content)",
                                       "max(",
                                       "count(*)",
                                       "group_concat(",
                                       " RETURNING *",
                                       " UNION ALL ",
                                       " JOIN ",
                                       " LIMIT 1",
                                       " FROM json_each('[1,2,3]') ",
                                       "PRAGMA journal_mode = ",
                                       "VACUUM;",
                                       "readonly=1",
                                       "sync=off",
                                       "atomic=0",
                                       "mmap=0",
                                       "adopt=1",
                                       "resolve=keep",
                                       "min_size=100000"};

/* ---- no directory but the simulated ones */

int __wrap_sdb_real_open_dir(const char *path, sdb_fd *dir) {
  (void)path;
  (void)dir;
  return EACCES;
}

int __wrap_sdb_real_make_dir(const char *path, bool own) {
  (void)path;
  (void)own;
  return EACCES;
}

static int authorize(void *context, int action, const char *file, const char *b, const char *c, const char *d) {
  (void)context;
  (void)b;
  (void)c;
  (void)d;
  bool harmless = !file || !file[0] || strcmp(file, ":memory:") == 0;
  return action == SQLITE_ATTACH && !harmless ? SQLITE_DENY : SQLITE_OK;
}

static char folder[64];

static void leave(void) {
  (void)rmdir(folder);
}

/* A private folder whose name makes "folder/d" a path on the simulated disk. */
static void prepare_once(void) {
  static bool done;
  if (done) return;
  done = true;
  snprintf(folder, sizeof folder, "/tmp/sim:fuzz-%ld", (long)getpid());
  if (mkdir(folder, 0700) != 0) abort();
  atexit(leave);
  sqlite3_auto_extension((void (*)(void))sqlite3_seqdb_init);
}

/* ---- bounds */

static int ticks;

static int tick(void *context) {
  (void)context;
  return ++ticks > TICKS_MAX;
}

static void bound(sqlite3 *db) {
  static const struct {
    int id, limit;
  } limits[] = {
      {SQLITE_LIMIT_LENGTH, 200000},   {SQLITE_LIMIT_SQL_LENGTH, TEXT_MAX}, {SQLITE_LIMIT_COLUMN, 20},
      {SQLITE_LIMIT_EXPR_DEPTH, 40},   {SQLITE_LIMIT_COMPOUND_SELECT, 6},   {SQLITE_LIMIT_VDBE_OP, 10000},
      {SQLITE_LIMIT_FUNCTION_ARG, 10}, {SQLITE_LIMIT_ATTACHED, 2},          {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 30},
      {SQLITE_LIMIT_TRIGGER_DEPTH, 4}, {SQLITE_LIMIT_VARIABLE_NUMBER, 10}};
  for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
    sqlite3_limit(db, limits[i].id, limits[i].limit);
  sqlite3_progress_handler(db, 500, tick, NULL);
  sqlite3_set_authorizer(db, authorize, NULL);
  sqlite3_busy_timeout(db, 0);
}

/* ---- connections */

static void must(bool holds, const char *what, const char *detail) {
  if (holds) return;
  fprintf(stderr, "fuzz_sql: %s: %s\n", what, detail ? detail : "");
  abort();
}

static sqlite3 *connect(const char *file, unsigned mode) {
  static const char *const setup[] = {
      "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA journal_mode = MEMORY",
      "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA journal_mode = DELETE",
      "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA journal_mode = WAL",
      "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA trusted_schema = OFF"};
  sqlite3 *db = NULL;
  must(sqlite3_open(file, &db) == SQLITE_OK, "open", db ? sqlite3_errmsg(db) : NULL);
  must(sqlite3_exec(db, setup[mode % 4], NULL, NULL, NULL) == SQLITE_OK, "setup", sqlite3_errmsg(db));
  bound(db);
  return db;
}

static void disconnect(sqlite3 *db) {
  sqlite3_progress_handler(db, 0, NULL, NULL);
  if (!sqlite3_get_autocommit(db)) sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
  must(sqlite3_close(db) == SQLITE_OK, "close", sqlite3_errmsg(db));
}

/* ---- running */

static size_t expand(const uint8_t *bytes, size_t count, char *text) {
  size_t length = 0;
  for (size_t i = 0; i < count; i++) {
    const char one[2] = {(char)bytes[i], '\0'};
    const char *piece = bytes[i] < 128 ? one : words[bytes[i] - 128];
    size_t piece_bytes = bytes[i] < 128 ? 1 : strlen(piece);
    if (length + piece_bytes >= TEXT_MAX) break;
    if (bytes[i] == 0) continue;
    memcpy(text + length, piece, piece_bytes);
    length += piece_bytes;
  }
  text[length] = '\0';
  return length;
}

static void run_statement(sqlite3_stmt *statement) {
  int rows = 0;
  while (rows++ < 1000 && sqlite3_step(statement) == SQLITE_ROW)
    for (int i = 0; i < sqlite3_column_count(statement); i++) {
      const uint8_t *value = sqlite3_column_blob(statement, i);
      int bytes = sqlite3_column_bytes(statement, i);
      volatile uint8_t seen = 0; /* every byte must be readable */
      for (int k = 0; value && k < bytes; k += 512)
        seen ^= value[k];
      if (value && bytes) seen ^= value[bytes - 1];
      (void)seen;
    }
  sqlite3_finalize(statement);
}

static void run_text(sqlite3 *dbs[2], char *text) {
  sqlite3 *db = dbs[0];
  int statements = 0;
  for (char *part = text; part; part = strchr(part, '\1')) {
    if (*part == '\1') {
      part++;
      db = db == dbs[0] ? dbs[1] : dbs[0];
    }
    char *end = strchr(part, '\1');
    if (end) *end = '\0';
    for (const char *sql = part; *sql && statements < STATEMENTS_MAX; statements++) {
      sqlite3_stmt *statement = NULL;
      const char *tail = NULL;
      if (sqlite3_prepare_v2(db, sql, -1, &statement, &tail) == SQLITE_OK && statement) run_statement(statement);
      if (!tail || tail == sql) break;
      sql = tail;
    }
    if (end) *end = '\1';
  }
}

/* ---- judging */

/* Every table of ours says ok, or why it cannot be asked; it never tells of damage. */
static void check_tables(sqlite3 *db) {
  static const char find[] = "SELECT name FROM sqlite_schema WHERE sql LIKE 'create virtual table%using seqdb%'";
  sqlite3_stmt *tables = NULL, *check = NULL;
  ticks = 0;
  if (sqlite3_prepare_v2(db, find, -1, &tables, NULL) != SQLITE_OK) return;
  while (sqlite3_step(tables) == SQLITE_ROW) {
    if (sqlite3_prepare_v2(db, "SELECT seqdb_check(?)", -1, &check, NULL) != SQLITE_OK) break;
    sqlite3_bind_value(check, 1, sqlite3_column_value(tables, 0));
    if (sqlite3_step(check) == SQLITE_ROW) {
      const char *answer = (const char *)sqlite3_column_text(check, 0);
      must(answer && strcmp(answer, "ok") == 0, "check", answer);
    }
    sqlite3_finalize(check);
  }
  sqlite3_finalize(tables);
}

static int complain(void *context, const char *text) {
  (void)context;
  must(false, "check by the engine", text);
  return 0;
}

/* The same without SQLite; undecided commits count as kept. */
static void check_directories(void) {
  char root[80];
  sdb_sim_entry entry;
  snprintf(root, sizeof root, "sim:%s", strstr(folder, "sim:") + 4);
  for (size_t i = 0; sdb_sim_list(root, i, &entry) == 0; i++) {
    char path[200];
    seqdb *db = NULL;
    seqdb_error error = SEQDB_ERROR_INIT;
    snprintf(path, sizeof path, "%s/%s", root, entry.name);
    if (!entry.is_dir || seqdb_open(path, NULL, &error, &db) != SEQDB_OK) {
      must(error.code != SEQDB_CORRUPT, "open by the engine", error.message);
      continue; /* half made */
    }
    must(seqdb_check(db, complain, NULL, NULL) == SEQDB_OK, "check by the engine", seqdb_errmsg(db));
    seqdb_close(db);
  }
}

static void set_faults(uint8_t option, uint8_t nth) {
  static const struct {
    unsigned kinds;
    int error;
    bool forever;
  } faults[] = {{SDB_CALLS_MEMORY, ENOMEM, false},
                {SDB_CALLS_MEMORY, ENOMEM, true},
                {SDB_CALL_BIT(SDB_CALL_PWRITE) | SDB_CALL_BIT(SDB_CALL_TRUNCATE), ENOSPC, true},
                {SDB_CALLS_SYSTEM, EIO, false}};
  sdb_fault_set_random(7);
  sdb_fault_set_map_window(1 << 24);
  if (option < 4 || option >= 8) return;
  sdb_fault_rule rule = {.kinds = faults[option & 3].kinds,
                         .nth = 1 + (uint64_t)nth * 2,
                         .error = faults[option & 3].error,
                         .forever = faults[option & 3].forever};
  (void)sdb_fault_add(&rule);
}

static void run_input(const uint8_t *bytes, size_t count) {
  static char text[TEXT_MAX + 1];
  static const char *const leftovers[] = {"host.db", "host.db-journal", "host.db-wal", "host.db-shm"};
  sqlite3 *dbs[2] = {NULL, NULL};
  sdb_fault_lives lives;
  const char *file = bytes[0] & 1 ? ":memory:" : "host.db";
  for (int i = 0; i < 2; i++)
    dbs[i] = connect(file, bytes[0] >> 1 & 3);
  (void)sqlite3_exec(dbs[0], "CREATE VIRTUAL TABLE r USING seqdb('d'); CREATE TABLE t(a, b)", NULL, NULL, NULL);
  set_faults(bytes[0] >> 3 & 15, bytes[1]);
  ticks = 0;
  (void)expand(bytes + 2, count - 2, text);
  run_text(dbs, text);
  sdb_fault_reset();
  for (int i = 0; i < 2; i++)
    check_tables(dbs[i]);
  for (int i = 0; i < 2; i++)
    disconnect(dbs[i]);
  check_directories();
  sdb_fault_live(&lives);
  must(lives.memory == 0 && lives.handles == 0 && lives.maps == 0, "left behind", "memory, handles or mappings");
  for (size_t i = 0; i < sizeof leftovers / sizeof leftovers[0]; i++)
    (void)unlink(leftovers[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  if (count < 2) return 0;
  prepare_once();
  sdb_fault_reset();
  sdb_sim_reset();
  sdb_sim_set_file_max(FILE_MAX);
  must(sdb_sim_make_dir(strstr(folder, "sim:") + 4) == 0, "make the folder", NULL);
  int here = open(".", O_RDONLY | O_DIRECTORY);
  must(here >= 0 && chdir(folder) == 0, "enter the folder", folder);
  run_input(bytes, count);
  must(fchdir(here) == 0, "go back", NULL);
  close(here);
  return 0;
}
