/* SPDX-License-Identifier: MIT
**
** backup_all.c: see backup_all.h.
**
**   BEGIN IMMEDIATE      in a connection of its own: nobody commits to the SQLite file
**     BEGIN; SELECT      in another one: the file as of now, for as long as that one reads
**     each directory     what the row says is published (T8); then the commit is pinned
**   ROLLBACK             others go on: all this took a moment
**   SQLite's backup      from the second connection, which still sees that moment
**   each directory       from its pinned commit
**   the folder           gets its name
**
** In WAL mode alone can others write while a connection reads on.
**
** The copy belongs to its SQLite file: the row in it has the uuid of the file and the token of its newest commit, and
** each directory gets one claim, of that uuid, with that token, and the way from the directory to the copied file (T5).
** A directory lies in the copy where its table's path leads from there; where that would lead out of the folder it is
** called like the table, and the copied CREATE says so.
*/
#include "backup_all.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "agree.h"
#include "attach.h"
#include "create_text.h"
#include "file.h"
#include "find_table.h"
#include "interrupt.h"
#include "json.h"
#include "moment.h"
#include "new_folder.h"
#include "owner.h"
#include "path.h"
#include "row.h"

/* A table of the module in the file. */
struct table {
  struct table *next;
  char *name, *sql; /* from sqlite3_malloc, as all texts here */
  sdb_directory *directory;
  seqdb_backup_point *point;
  sdb_row row;
  bool has_row;
  char *place;    /* of the directory in the copy */
  bool new_place; /* its CREATE has to say so */
  uint64_t bytes, generation;
};

struct work {
  sdb_connection *connection;
  const char *schema;
  sdb_moment moment;
  struct table *tables;
  sdb_new_folder folder;
  uint64_t file_bytes;
  sdb_failure *f;
};

static int nested(struct work *w, sqlite3 *db) {
  return sdb_failure_nested(w->f, db);
}

static int run(struct work *w, sqlite3 *db, const char *sql) {
  return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? SQLITE_OK : nested(w, db);
}

static int interrupted(struct work *w) {
  if (!sdb_connection_interrupted(w->connection)) return SQLITE_OK;
  return sdb_failure_set(w->f, SQLITE_INTERRUPT, "seqdb_backup_all: interrupted");
}

/* ---- its tables -------------------------------------------------------------------------------------------- */

static void forget_tables(struct work *w) {
  while (w->tables) {
    struct table *t = w->tables;
    w->tables = t->next;
    seqdb_backup_end(t->point);
    if (t->directory) sdb_directory_release(t->directory);
    sqlite3_free(t->name);
    sqlite3_free(t->sql);
    sqlite3_free(t->place);
    sqlite3_free(t);
  }
}

static int add_table(struct work *w, struct table **list, const char *name, const char *sql) {
  struct table *t = sqlite3_malloc64(sizeof *t);
  if (!t) return sdb_failure_nomem(w->f);
  *t = (struct table){.next = *list, .name = sqlite3_mprintf("%s", name), .sql = sqlite3_mprintf("%s", sql)};
  *list = t;
  return t->name && t->sql ? SQLITE_OK : sdb_failure_nomem(w->f);
}

/* Those that the schema has as `db` sees it, into w->tables, which is empty; or compare with them: *same. */
static int list_tables(struct work *w, sqlite3 *db, const char *schema, bool *same) {
  sqlite3_stmt *select = NULL;
  struct table *known = w->tables;
  char *sql = sqlite3_mprintf(
      "SELECT name, sql FROM \"%w\".sqlite_master WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL%%' ORDER BY name",
      schema);
  if (!sql) return sdb_failure_nomem(w->f);
  int rc = sqlite3_prepare_v2(db, sql, -1, &select, NULL);
  sqlite3_free(sql);
  while (rc == SQLITE_OK && w->f->code == SQLITE_OK && (rc = sqlite3_step(select)) == SQLITE_ROW) {
    const char *name = (const char *)sqlite3_column_text(select, 0),
               *text = (const char *)sqlite3_column_text(select, 1);
    rc = SQLITE_OK;
    if (!name || !text || !sdb_create_text_is_ours(text)) continue;
    if (!same) {
      add_table(w, &w->tables, name, text);
    } else {
      *same = *same && known && strcmp(known->name, name) == 0 && strcmp(known->sql, text) == 0;
      if (known) known = known->next;
    }
  }
  if (w->f->code == SQLITE_OK && rc != SQLITE_OK && rc != SQLITE_DONE) nested(w, db);
  sqlite3_finalize(select);
  if (same) *same = *same && !known;
  return w->f->code;
}

static void reverse(struct work *w) {
  struct table *list = w->tables, *next;
  for (w->tables = NULL; list; list = next) {
    next = list->next;
    list->next = w->tables;
    w->tables = list;
  }
}

/* Its directory, open in the connection, and ours to copy. */
static int find_directory(struct work *w, struct table *t) {
  char *text = sqlite3_mprintf("\"%w\".\"%w\"", w->schema, t->name);
  if (!text) return sdb_failure_nomem(w->f);
  int rc = sdb_find_table_named(w->connection, text, &t->directory, w->f);
  sqlite3_free(text);
  return rc == SQLITE_OK ? sdb_owner_may_upkeep(t->directory, w->f) : rc;
}

/* ---- where they go ----------------------------------------------------------------------------------------- */

static bool leaves(const char *path) {
  if (path[0] == '/') return true;
  for (const char *at = path; at; at = strchr(at, '/')) {
    at += *at == '/';
    if (at[0] == '.' && at[1] == '.' && (at[2] == '/' || at[2] == '\0')) return true;
  }
  return false;
}

/* The rest of the directory's path behind the file's folder, without symbolic links; NULL: it lies elsewhere. */
static char *path_inside(const char *file, const char *directory) {
  char folder[PATH_MAX], path[PATH_MAX], copy[PATH_MAX];
  const char *slash = strrchr(file, '/');
  sqlite3_snprintf((int)sizeof copy, copy, "%.*s", (int)(slash - file), file);
  if (!realpath(copy[0] ? copy : "/", folder) || !realpath(directory, path)) return NULL;
  size_t bytes = strcmp(folder, "/") == 0 ? 0 : strlen(folder);
  return strncmp(path, folder, bytes) == 0 && path[bytes] == '/' ? sqlite3_mprintf("%s", path + bytes + 1) : NULL;
}

/* A name in the folder that nothing else has: that of the table, perhaps with a number. */
static char *place_like_table(const struct work *w, const struct table *t) {
  const char *file = strrchr(w->moment.file, '/') + 1;
  for (unsigned number = 1;; number++) {
    char *place = number > 1 ? sqlite3_mprintf("%s-%u", t->name, number) : sqlite3_mprintf("%s", t->name);
    if (!place) return NULL;
    for (char *at = place; *at; at++)
      if (*at == '/' || (*at == '.' && at == place)) *at = '_';
    bool taken = strncmp(place, file, strlen(file)) == 0;
    for (const struct table *other = w->tables; other && !taken; other = other->next)
      taken = other->place && strcmp(other->place, place) == 0;
    if (!taken) return place;
    sqlite3_free(place);
  }
}

/* First those whose own path stays in the folder (`own`), so that the others find out what is taken. */
static int choose_place(struct work *w, struct table *t, bool own) {
  if (t->place) return SQLITE_OK;
  char *given = sdb_create_text_path(t->sql, w->f);
  if (w->f->code != SQLITE_OK) return w->f->code;
  if (!given)
    t->place = sqlite3_mprintf("%s-%s", strrchr(w->moment.file, '/') + 1, t->name); /* as path.c has it */
  else if (!leaves(given))
    t->place = sqlite3_mprintf("%s", given);
  else if (own)
    t->place = path_inside(w->moment.file, t->directory->path);
  else
    t->place = place_like_table(w, t);
  t->new_place = given && leaves(given);
  sqlite3_free(given);
  return t->place || own ? SQLITE_OK : sdb_failure_nomem(w->f);
}

static int choose_places(struct work *w) {
  for (int own = 1; own >= 0; own--)
    for (struct table *t = w->tables; t && w->f->code == SQLITE_OK; t = t->next)
      choose_place(w, t, own);
  return w->f->code;
}

/* ---- the moment -------------------------------------------------------------------------------------------- */

/* Row and regions are of one commit. */
static int compare(struct work *w, const struct table *t) {
  static const uint8_t zeros[SEQDB_TOKEN_BYTES];
  seqdb_claim claim;
  bool claimed = seqdb_backup_claim(t->point, t->row.file, &claim) == SEQDB_OK;
  const uint8_t *settled = claimed ? claim.settled : zeros; /* of a file that has not committed anything yet */
  if (memcmp(settled, t->row.token, SEQDB_TOKEN_BYTES) == 0) return SQLITE_OK;
  return sdb_agree_refuse_times(t->directory, SQLITE_CANTOPEN, w->f);
}

static int pin(struct work *w, struct table *t) {
  sdb_row_key key;
  seqdb *engine = t->directory->engine;
  int rc = sdb_row_key_take(engine, &key);
  if (rc != SEQDB_OK) return sdb_failure_engine(w->f, engine, rc);
  if (t->directory->atomic && sdb_row_lookup(w->moment.read, "main", &key, &t->row, &t->has_row, w->f) != SQLITE_OK)
    return w->f->code;
  if (t->has_row && sdb_moment_agree(&w->moment, t->directory, &t->row, w->f) != SQLITE_OK) return w->f->code;
  rc = seqdb_backup_begin(engine, &t->point);
  if (rc != SEQDB_OK) return sdb_failure_engine(w->f, engine, rc);
  t->generation = seqdb_backup_generation(t->point);
  return t->has_row ? compare(w, t) : SQLITE_OK;
}

/* *same: the schema is what it was when the tables were found; else there is nothing. */
static int take_moment(struct work *w, bool *same) {
  *same = true;
  if (sdb_moment_take(&w->moment, w->f) != SQLITE_OK) return w->f->code;
  list_tables(w, w->moment.read, "main", same);
  for (struct table *t = w->tables; *same && t && w->f->code == SQLITE_OK; t = t->next)
    pin(w, t);
  sdb_moment_let_go(&w->moment);
  if (!*same) (void)sqlite3_exec(w->moment.read, "ROLLBACK", NULL, NULL, NULL);
  return w->f->code;
}

#define TRIES 20 /* of a schema that changes all the time */

static int find_moment(struct work *w) {
  bool same = false;
  for (int i = 0; !same && i < TRIES && w->f->code == SQLITE_OK; i++) {
    forget_tables(w);
    if (list_tables(w, w->connection->db, w->schema, NULL) != SQLITE_OK) return w->f->code;
    reverse(w); /* as they are read again, so that they can be compared one by one */
    for (struct table *t = w->tables; t && w->f->code == SQLITE_OK; t = t->next)
      find_directory(w, t);
    if (w->f->code == SQLITE_OK && choose_places(w) == SQLITE_OK) take_moment(w, &same);
  }
  if (same || w->f->code != SQLITE_OK) return w->f->code;
  return sdb_failure_set(w->f, SQLITE_SCHEMA, "seqdb_backup_all: the tables of %s change all the time", w->schema);
}

/* ---- the copies -------------------------------------------------------------------------------------------- */

#define STEP_PAGES 256

static int copy_pages(struct work *w, sqlite3 *to) {
  sqlite3_backup *backup = sqlite3_backup_init(to, "main", w->moment.read, "main");
  int rc = SQLITE_OK;
  if (!backup) return nested(w, to);
  while (rc == SQLITE_OK && interrupted(w) == SQLITE_OK)
    rc = sqlite3_backup_step(backup, STEP_PAGES);
  bool broken = sqlite3_backup_finish(backup) != SQLITE_OK || (rc != SQLITE_OK && rc != SQLITE_DONE);
  return broken && w->f->code == SQLITE_OK ? nested(w, to) : w->f->code;
}

/* The copied CREATE names the place in the copy. */
static int rewrite(struct work *w, sqlite3 *db, const struct table *t) {
  sqlite3_stmt *update = NULL;
  char *sql = sdb_create_text_with_path(t->sql, t->place, w->f);
  if (!sql) return w->f->code;
  int rc =
      sqlite3_prepare_v2(db, "UPDATE sqlite_master SET sql = ?1 WHERE type = 'table' AND name = ?2", -1, &update, NULL);
  if (rc == SQLITE_OK) {
    sqlite3_bind_text(update, 1, sql, -1, SQLITE_STATIC);
    sqlite3_bind_text(update, 2, t->name, -1, SQLITE_STATIC);
    sqlite3_step(update);
    rc = sqlite3_reset(update);
  }
  if (rc != SQLITE_OK) nested(w, db);
  sqlite3_finalize(update);
  sqlite3_free(sql);
  return w->f->code;
}

static int rewrite_all(struct work *w, sqlite3 *db) {
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 0, NULL);
  if (run(w, db, "PRAGMA writable_schema = ON") != SQLITE_OK) return w->f->code;
  for (struct table *t = w->tables; t && w->f->code == SQLITE_OK; t = t->next)
    if (t->new_place) rewrite(w, db, t);
  return w->f->code;
}

/* Mode and, of root, owner of the original. */
static void set_access(const char *path, const char *like) {
  struct stat status;
  if (stat(like, &status) != 0) return;
  bool refused = chmod(path, status.st_mode & 0777) != 0;
  if (!refused && geteuid() == 0) refused = chown(path, status.st_uid, status.st_gid) != 0;
  (void)refused; /* it is more private then */
}

static int copy_file(struct work *w, const char **path) {
  struct stat status = {0};
  sqlite3 *to = NULL;
  const char *vfs = sdb_path_vfs(w->connection->db, w->schema);
  *path = sdb_new_folder_add(&w->folder, strrchr(w->moment.file, '/') + 1, SDB_MADE_SQLITE, w->f);
  if (!*path) return w->f->code;
  if (sqlite3_open_v2(*path, &to, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs) != SQLITE_OK)
    nested(w, to);
  else if (copy_pages(w, to) == SQLITE_OK)
    rewrite_all(w, to);
  if (sqlite3_close(to) != SQLITE_OK && w->f->code == SQLITE_OK) nested(w, to);
  if (w->f->code != SQLITE_OK) return w->f->code;
  set_access(*path, w->moment.file);
  if (stat(*path, &status) == 0) w->file_bytes = (uint64_t)status.st_size;
  if (seqdb_sync_path(*path) != SEQDB_OK)
    return sdb_failure_set(w->f, SQLITE_IOERR_FSYNC, "seqdb_backup_all: cannot sync %s", *path);
  return SQLITE_OK;
}

static int copy_directory(struct work *w, struct table *t, const char *file) {
  seqdb_claim owner = {0};
  const char *path = sdb_new_folder_add(&w->folder, t->place, SDB_MADE_DATABASE, w->f);
  if (!path) return w->f->code;
  if (t->has_row) {
    if (sdb_file_claim(path, file, &owner, w->f) != SQLITE_OK) return w->f->code;
    memcpy(owner.file, t->row.file, sizeof owner.file);
    memcpy(owner.settled, t->row.token, sizeof owner.settled);
  }
  int rc = seqdb_backup_copy(t->point, path, t->has_row ? &owner : NULL, &t->bytes);
  return sdb_failure_engine(w->f, t->directory->engine, rc);
}

/* ---- all of it --------------------------------------------------------------------------------------------- */

static char *describe(const struct work *w) {
  sqlite3_str *json = sqlite3_str_new(NULL);
  uint64_t bytes = w->file_bytes;
  sqlite3_str_appendall(json, "{\"file\":");
  sdb_json_add_string(json, strrchr(w->moment.file, '/') + 1);
  sqlite3_str_appendf(json, ",\"file_bytes\":%llu,\"directories\":[", (unsigned long long)w->file_bytes);
  for (const struct table *t = w->tables; t; t = t->next) {
    sqlite3_str_appendall(json, t == w->tables ? "{\"table\":" : ",{\"table\":");
    sdb_json_add_string(json, t->name);
    sqlite3_str_appendall(json, ",\"directory\":");
    sdb_json_add_string(json, t->place);
    sqlite3_str_appendf(json, ",\"generation\":%llu,\"bytes\":%llu}", (unsigned long long)t->generation,
                        (unsigned long long)t->bytes);
    bytes += t->bytes;
  }
  sqlite3_str_appendf(json, "],\"bytes\":%llu}", (unsigned long long)bytes);
  return sqlite3_str_finish(json);
}

/* Nothing is put into a directory that is copied. */
static int check_folder(struct work *w, const char *folder) {
  char parent[PATH_MAX], real[PATH_MAX], path[PATH_MAX];
  const char *slash = strrchr(folder, '/');
  sqlite3_snprintf((int)sizeof parent, parent, "%.*s/", (int)(slash - folder), folder);
  if (!realpath(parent, real)) return SQLITE_OK; /* making it will say why */
  for (const struct table *t = w->tables; t; t = t->next) {
    size_t bytes = realpath(t->directory->path, path) ? strlen(path) : 0;
    if (bytes == 0 || strncmp(real, path, bytes) != 0 || (real[bytes] != '/' && real[bytes])) continue;
    return sdb_failure_set(w->f, SQLITE_CANTOPEN,
                           "seqdb_backup_all: %s lies in the directory of table %s: give it a place outside", folder,
                           t->name);
  }
  return SQLITE_OK;
}

static int copy_all(struct work *w, const char *folder) {
  const char *file = NULL;
  if (sdb_moment_open(&w->moment, w->f) != SQLITE_OK) return w->f->code;
  if (find_moment(w) != SQLITE_OK || check_folder(w, folder) != SQLITE_OK) return w->f->code;
  if (sdb_new_folder_make(&w->folder, folder, w->moment.file, w->f) != SQLITE_OK) return w->f->code;
  if (copy_file(w, &file) != SQLITE_OK) return w->f->code;
  for (struct table *t = w->tables; t && w->f->code == SQLITE_OK; t = t->next)
    copy_directory(w, t, file);
  return w->f->code == SQLITE_OK ? sdb_new_folder_finish(&w->folder, w->f) : w->f->code;
}

int sdb_backup_all(sdb_connection *connection, const char *schema, const char *folder, char **json, sdb_failure *f) {
  struct work w = {.connection = connection, .schema = schema, .f = f};
  w.moment = (sdb_moment){.connection = connection, .schema = schema, .work = "seqdb_backup_all"};
  if (copy_all(&w, folder) == SQLITE_OK && !(*json = describe(&w))) sdb_failure_nomem(f);
  sdb_moment_close(&w.moment);
  forget_tables(&w);
  sdb_new_folder_close(&w.folder);
  return f->code;
}
