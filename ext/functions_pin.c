/* SPDX-License-Identifier: MIT
**
** functions_pin.c: pins: bytes of `data` that stay as they are until the program gives them back.
**
**   SELECT seqdb_pin('regions', 'matrix');   -- {"pin":1,"file":"/…/data","offset":4096,"length":800}
**   SELECT seqdb_unpin(1);                   -- how many are left
**
** Another program, or another library in this one, may map those bytes of that file and read them: nobody overwrites,
** moves or frees them.  What is committed meanwhile goes elsewhere.  A pin is a snapshot: it holds freed space back,
** and seqdb_stat() and seqdb_snapshots() count it.
**
** Committed overwrites may still be on their way into `data`.  They are written out first, which a snapshot that is
** older than them forbids: then it is SQLITE_BUSY.
*/
#include "attach.h"
#include "find_table.h"
#include "functions_pin.h"
#include "json.h"
#include "pin.h"
#include "upkeep.h"
#include "value.h"

#define PIN   "seqdb_pin" /* for messages */
#define UNPIN "seqdb_unpin"

/* What is to be pinned. */
typedef struct sdb_pinning {
  sdb_directory *directory;
  const char *name;
  size_t name_bytes;
  seqdb_snapshot *snapshot;
  seqdb_region_info info;
} sdb_pinning;

static int refuse(const sdb_pinning *p, int code, const char *why, sdb_failure *f) {
  char shown[SDB_SHOWN_NAME_MAX];
  return sdb_failure_set(f, code, PIN ": region '%s' %s", sdb_shown_name(p->name, p->name_bytes, shown), why);
}

/* A snapshot with the region in it. */
static int take(sdb_pinning *p, sdb_failure *f) {
  seqdb *engine = p->directory->engine;
  seqdb_region region;
  char shown[SDB_SHOWN_NAME_MAX];
  seqdb_snapshot_close(p->snapshot);
  p->snapshot = NULL;
  if (sdb_failure_engine(f, engine, seqdb_snapshot_open(engine, &p->snapshot)) != SQLITE_OK) return f->code;
  seqdb_view *view = seqdb_snapshot_view(p->snapshot);
  int rc = seqdb_find(view, p->name, p->name_bytes, &region);
  if (rc == SEQDB_OK) rc = seqdb_get_info(view, region, &p->info);
  if (rc == SEQDB_NOTFOUND)
    return sdb_failure_set(f, SQLITE_ERROR, "%s: no such region: '%s'", p->directory->name,
                           sdb_shown_name(p->name, p->name_bytes, shown));
  return sdb_failure_engine(f, engine, rc);
}

static int refuse_changed(const sdb_pinning *p, sdb_failure *f) {
  seqdb *engine = p->directory->engine;
  seqdb_region region;
  int rc = seqdb_find(seqdb_own_view(engine), p->name, p->name_bytes, &region);
  if (rc != SEQDB_OK || !seqdb_has_changes(engine) || !seqdb_region_changed(engine, region)) return SQLITE_OK;
  return refuse(p, SQLITE_ERROR, "has changes that are not committed: pin it after COMMIT", f);
}

/* Are the bytes of the snapshot in `data`?  Where they cannot be pointed at anyway (mmap=0), they are if no overwrite
** is on its way at all. */
static int is_in_place(const sdb_pinning *p, bool *in_place, sdb_failure *f) {
  seqdb_stat_info stat = SEQDB_STAT_INIT;
  const void *data;
  seqdb *engine = p->directory->engine;
  int rc = seqdb_read(seqdb_snapshot_view(p->snapshot), p->info.region, 0, p->info.length_bytes, &data);
  *in_place = rc == SEQDB_OK;
  if (rc != SEQDB_COPY) return sdb_failure_engine(f, engine, rc);
  if (sdb_failure_engine(f, engine, seqdb_stat(engine, &stat)) != SQLITE_OK) return f->code;
  *in_place = stat.overlay_bytes == 0;
  return SQLITE_OK;
}

static int settle(sdb_pinning *p, sdb_failure *f) {
  bool in_place = false;
  if (refuse_changed(p, f) != SQLITE_OK || take(p, f) != SQLITE_OK) return f->code;
  if (is_in_place(p, &in_place, f) != SQLITE_OK || in_place) return f->code;
  seqdb_snapshot_close(p->snapshot); /* it would hold them back */
  p->snapshot = NULL;
  if (sdb_upkeep_checkpoint(p->directory, f) != SQLITE_OK || take(p, f) != SQLITE_OK) return f->code;
  if (is_in_place(p, &in_place, f) != SQLITE_OK || in_place) return f->code;
  return refuse(p, SQLITE_BUSY, "was overwritten, and an older snapshot keeps this from being written to its place", f);
}

/* JSON from sqlite3_malloc; NULL: *f is set. */
static char *pin_json(const sdb_pinning *p, sqlite3_int64 number, sdb_failure *f) {
  char *file = sqlite3_mprintf("%s/data", p->directory->path);
  sqlite3_str *text = sqlite3_str_new(NULL);
  sqlite3_str_appendf(text, "{\"pin\":%lld,\"file\":", number);
  if (file) sdb_json_add_string(text, file);
  sqlite3_str_appendf(text, ",\"offset\":%llu,\"length\":%llu}", (unsigned long long)p->info.offset,
                      (unsigned long long)p->info.length_bytes);
  char *json = sqlite3_str_finish(text);
  if (!file) {
    sqlite3_free(json);
    json = NULL;
  }
  sqlite3_free(file);
  if (!json) sdb_failure_nomem(f);
  return json;
}

/* JSON from sqlite3_malloc; NULL: *f is set, and nothing is pinned. */
static char *pin(sdb_pinning *p, sdb_failure *f) {
  sdb_connection *connection = p->directory->connection;
  sqlite3_int64 number = connection->pins_given + 1;
  char *json = settle(p, f) == SQLITE_OK ? pin_json(p, number, f) : NULL;
  if (json && !sdb_pin_add(&connection->pins, number, p->directory->engine, p->snapshot)) {
    sqlite3_free(json);
    json = NULL;
    sdb_failure_nomem(f);
  }
  if (!json) {
    seqdb_snapshot_close(p->snapshot);
    return NULL;
  }
  connection->pins_given = number;
  return json;
}

static void pin_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_pinning p = {0};
  sdb_failure f = {0};
  char *json = NULL;
  (void)argc;
  if (sdb_value_name(PIN, ": name", argv[1], &p.name, &p.name_bytes, &f) == SQLITE_OK &&
      sdb_find_table(sqlite3_user_data(context), argv[0], &p.directory, &f) == SQLITE_OK) {
    json = pin(&p, &f);
    sdb_directory_release(p.directory);
  }
  if (f.code != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
    return;
  }
  sqlite3_result_text(context, json, -1, sqlite3_free);
  sqlite3_result_subtype(context, SDB_SUBTYPE_JSON);
}

static void unpin_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  sdb_failure f = {0};
  sqlite3_int64 number = 0, left = 0;
  (void)argc;
  if (sdb_value_integer(UNPIN, ": pin", argv[0], &number, &f) == SQLITE_OK &&
      !sdb_pin_close(&connection->pins, number)) {
    sdb_failure_set(&f, SQLITE_ERROR, UNPIN ": this connection has no pin %lld", number);
  }
  if (f.code != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
    return;
  }
  for (const sdb_pin *at = connection->pins; at; at = at->next)
    left++;
  sqlite3_result_int64(context, left);
}

int sdb_register_functions_pin(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {PIN, 2, SQLITE_DIRECTONLY | SDB_RESULT_SUBTYPE, pin_function},
      {UNPIN, 1, SQLITE_DIRECTONLY, unpin_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
