/* SPDX-License-Identifier: MIT
**
** owner.c: see owner.h.
**
**   the file's row            its claim in the directory
**   there                     means this file             it may write
**   there                     means another file          a copy (cp, VACUUM INTO, backup): it reads
**   there                     there is none               of another time: seqdb_takeover() decides; but before the
**                                                         file's first commit: CREATE could not wait for the claim
**   missing                   means this file             emptied or dropped: seqdb_takeover() makes it anew; but
**                                                         before the file's first commit: a CREATE was rolled back
**   missing                   only those of others        a copy from before it had a row: it reads
**   missing                   there are none at all       version 0.1: row and claim are made at the first write
**   another table's           whatever they are           a copy of that one's directory, with its uuid: it reads
**
** A directory is named by its uuid, a file by one that stands in the row: it travels with every copy, so path, inode
** and birth tell the original.  Reading never asks.
*/
#include <string.h>
#include "agree.h"
#include "ask.h"
#include "file.h"
#include "owner.h"
#include "path.h"
#include "shadow.h"

/* What is known of a directory and this file. */
struct evidence {
  const char *path; /* of the SQLite file; NULL: it is none */
  seqdb_claim claims[SEQDB_CLAIMS_MAX];
  uint32_t count;
  uint64_t version;
  sdb_row row;
  bool has_row;
  const seqdb_claim *named; /* the claim of the row's uuid, or NULL */
  const seqdb_claim *ours;  /* one that means this file, whatever its uuid, or NULL */
};

static int look(sdb_directory *directory, struct evidence *e, sdb_failure *f) {
  e->path = sdb_path_file(directory->connection->db, directory->schema);
  e->version = seqdb_claims_version(directory->engine);
  int rc = seqdb_claims(directory->engine, e->claims, &e->count);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, directory->engine, rc);
  if (sdb_shadow_read(directory, &e->row, &e->has_row, f) != SQLITE_OK) return f->code;
  e->named = e->ours = NULL;
  for (uint32_t i = 0; i < e->count; i++) {
    const seqdb_claim *claim = &e->claims[i];
    bool named = e->has_row && memcmp(claim->file, e->row.file, sizeof claim->file) == 0;
    if (named) e->named = claim;
    bool ours = false;
    if (e->path && (!e->ours || named) && sdb_file_is_claimed(directory->path, e->path, claim, &ours, f) != SQLITE_OK)
      return f->code;
    if (ours) e->ours = claim;
  }
  return SQLITE_OK;
}

/* ---- answers ----------------------------------------------------------------------------------------------- */

static int is_copy(sdb_directory *directory, const struct evidence *e, sdb_failure *f) {
  const seqdb_claim *claim = e->named ? e->named : &e->claims[0];
  char *file = sdb_file_of_claim(directory->path, claim);
  const char *slash = file ? strrchr(file, '/') : NULL;
  sdb_failure_set(f, SQLITE_READONLY,
                  "%s belongs to %s; this is a copy (the original is %s): SELECT seqdb_takeover('%s') makes this one "
                  "the owner",
                  directory->name, slash ? slash + 1 : "another file", file ? file : "not known any more",
                  directory->name);
  sqlite3_free(file);
  return f->code;
}

static int is_stranger(sdb_directory *directory, sdb_failure *f) {
  return sdb_failure_set(f, SQLITE_READONLY,
                         "%s: its directory %s does not know this SQLite file, so one of them is of another time: "
                         "SELECT seqdb_takeover('%s') makes the file its owner",
                         directory->name, directory->path, directory->name);
}

/* A row of its own would have the same uuid as the other table's, and nobody could tell them apart. */
static int is_twin(sdb_directory *directory, sdb_failure *f) {
  return sdb_failure_set(f, SQLITE_READONLY,
                         "%s: its directory %s is a copy of that of table %s: this SQLite file can only read it",
                         directory->name, directory->path, directory->owner.twin);
}

static int is_emptied(sdb_directory *directory, sdb_failure *f) {
  return sdb_failure_set(f, SQLITE_READONLY,
                         "%s: the table %s_commit has lost the row of its directory: SELECT seqdb_takeover('%s') makes "
                         "it anew",
                         directory->name, directory->name, directory->name);
}

/* The file has not committed anything yet: the row may have gone with a ROLLBACK. */
static bool is_new(const uint8_t token[SEQDB_TOKEN_BYTES]) {
  static const uint8_t zeros[SEQDB_TOKEN_BYTES];
  return memcmp(token, zeros, sizeof zeros) == 0;
}

/* What the row says is the newest commit of this file that the directory has (T6). */
static bool is_of_now(const struct evidence *e) {
  return memcmp(e->row.token, e->named->settled, sizeof e->row.token) == 0;
}

/* SQLITE_OK: it may write, or it has no row and needs one (*make). */
static int judge(sdb_directory *directory, const struct evidence *e, bool *make, sdb_failure *f) {
  *make = false;
  if (!e->has_row && directory->owner.twin) return is_twin(directory, f);
  if (!e->path) return e->has_row ? is_copy(directory, e, f) : SQLITE_OK; /* in memory: made here, or loaded */
  if (e->has_row && e->named && e->ours == e->named)
    return is_of_now(e) ? SQLITE_OK : sdb_agree_refuse_times(directory, SQLITE_READONLY, f);
  *make = e->has_row ? !e->named && is_new(e->row.token) : e->ours ? is_new(e->ours->settled) : e->count == 0;
  if (*make) return SQLITE_OK;
  if (e->has_row) return e->named ? is_copy(directory, e, f) : is_stranger(directory, f);
  return e->ours ? is_emptied(directory, f) : is_copy(directory, e, f);
}

/* ---- becoming the owner ------------------------------------------------------------------------------------ */

static void settle(sdb_directory *directory, enum sdb_owner_state state, const struct evidence *e) {
  directory->owner.state = state;
  directory->owner.claims_version = e->version;
  memcpy(directory->owner.file, e->row.file, sizeof directory->owner.file);
  seqdb_set_file(directory->engine, state == SDB_OWNER_THIS ? e->row.file : NULL, 1);
}

/* The header that has claims is written by a checkpoint. */
static void settle_before(sdb_directory *directory) {
  enum sdb_owner_state state = directory->owner.state;
  sdb_failure unheard = {0};
  directory->owner.state = SDB_OWNER_THIS;
  sdb_agree_others(directory, &unheard);
  sdb_failure_clear(&unheard);
  sdb_agree_close(directory);
  directory->owner.state = state;
}

/* Row, then claim: a crash in between leaves what was, or what claims again.  The row says of the file what the claim
** does: its newest commit, or that it has made none. */
static int claim(sdb_directory *directory, struct evidence *e, bool creating, sdb_failure *f) {
  seqdb_claim mine;
  bool keep = e->has_row && !e->named && is_new(e->row.token);
  if (sdb_file_claim(directory->path, e->path, &mine, f) != SQLITE_OK) return f->code;
  seqdb_get_uuid(directory->engine, e->row.directory);
  e->row.generation = 0;
  memset(e->row.token, 0, sizeof e->row.token);
  if (e->ours) {
    memcpy(e->row.file, e->ours->file, sizeof e->row.file);
    memcpy(e->row.token, e->ours->settled, sizeof e->row.token);
  } else if (!keep) {
    sqlite3_randomness((int)sizeof e->row.file, e->row.file);
  }
  memcpy(mine.file, e->row.file, sizeof mine.file);
  memcpy(mine.settled, e->row.token, sizeof mine.settled);
  if (sdb_shadow_put(directory, &e->row, f) != SQLITE_OK) return f->code;
  directory->owner.made = true;
  seqdb_set_file(directory->engine, e->row.file, 1);
  memcpy(directory->owner.file, e->row.file, sizeof directory->owner.file);
  settle_before(directory);
  int rc = seqdb_claim_put(directory->engine, &mine);
  if (rc == SEQDB_BUSY && creating) return SQLITE_OK; /* the first write claims */
  if (rc != SEQDB_OK) return sdb_failure_engine(f, directory->engine, rc);
  e->version = seqdb_claims_version(directory->engine);
  settle(directory, SDB_OWNER_THIS, e);
  return SQLITE_OK;
}

/* The file was moved: after the next commit the claim follows it. */
static int see_move(sdb_directory *directory, const struct evidence *e, sdb_failure *f) {
  seqdb_claim now;
  if (sdb_file_claim(directory->path, e->path, &now, f) != SQLITE_OK) return f->code;
  memcpy(now.file, e->named->file, sizeof now.file);
  memcpy(now.settled, e->named->settled, sizeof now.settled);
  directory->owner.moved = now.inode && memcmp(&now, e->named, sizeof now) != 0;
  return SQLITE_OK;
}

void sdb_owner_committed(sdb_directory *directory) {
  sdb_failure unheard = {0};
  struct evidence e;
  seqdb_claim now;
  if (!directory->owner.moved) return;
  directory->owner.moved = false;
  if (look(directory, &e, &unheard) == SQLITE_OK && e.named && e.ours == e.named &&
      sdb_file_claim(directory->path, e.path, &now, &unheard) == SQLITE_OK) {
    memcpy(now.file, e.named->file, sizeof now.file);
    memcpy(now.settled, e.named->settled, sizeof now.settled);
    settle_before(directory);
    (void)seqdb_claim_put(directory->engine, &now); /* refused, it is tried again when the table is opened next */
  }
  sdb_failure_clear(&unheard);
}

static bool is_nobodys(const sdb_directory *directory) {
  return !directory->atomic || sqlite3_stricmp(directory->schema, "temp") == 0;
}

static int check(sdb_directory *directory, bool writes, sdb_failure *f) {
  sdb_owner *owner = &directory->owner;
  struct evidence e;
  bool make;
  if (is_nobodys(directory)) {
    owner->state = SDB_OWNER_NOBODY;
    return SQLITE_OK;
  }
  if (owner->state != SDB_OWNER_UNKNOWN && owner->claims_version == seqdb_claims_version(directory->engine))
    return SQLITE_OK;
  owner->state = SDB_OWNER_UNKNOWN;
  if (seqdb_is_readonly(directory->engine, NULL)) return SQLITE_OK; /* the engine says why */
  if (look(directory, &e, f) != SQLITE_OK) return f->code;
  if (!writes && e.has_row && e.named)
    memcpy(e.row.token, e.named->settled, sizeof e.row.token); /* perhaps an old one */
  if (judge(directory, &e, &make, f) != SQLITE_OK) return f->code;
  if (make) return writes ? claim(directory, &e, false, f) : SQLITE_OK;
  if (e.has_row && see_move(directory, &e, f) != SQLITE_OK) return f->code;
  settle(directory, e.has_row ? SDB_OWNER_THIS : SDB_OWNER_NOBODY, &e);
  return SQLITE_OK;
}

int sdb_owner_may_write(sdb_directory *directory, sdb_failure *f) {
  return check(directory, true, f);
}

int sdb_owner_may_upkeep(sdb_directory *directory, sdb_failure *f) {
  return check(directory, false, f);
}

void sdb_owner_forget(sdb_directory *directory) {
  directory->owner.state = SDB_OWNER_UNKNOWN;
}

/* Without a look at any file: does a claim of `file` say that this token was its last one? */
static int claims_say(sdb_directory *directory, const uint8_t *file, const uint8_t *token, bool *same, sdb_failure *f) {
  seqdb_claim claims[SEQDB_CLAIMS_MAX];
  uint32_t count = 0;
  int rc = seqdb_claims(directory->engine, claims, &count);
  *same = false;
  if (rc != SEQDB_OK) return sdb_failure_engine(f, directory->engine, rc);
  for (uint32_t i = 0; i < count && !*same; i++)
    *same = memcmp(claims[i].file, file, sizeof claims[i].file) == 0 &&
            memcmp(claims[i].settled, token, SEQDB_TOKEN_BYTES) == 0;
  return SQLITE_OK;
}

/* Another copy of the file may have taken over since the owner was judged: then the claim means that one. */
static int refuse_copy(sdb_directory *directory, sdb_failure *f) {
  struct evidence e;
  if (look(directory, &e, f) != SQLITE_OK) return f->code;
  if (e.named && e.ours != e.named) return is_copy(directory, &e, f);
  directory->owner.claims_version = e.version;
  return SQLITE_OK;
}

int sdb_owner_confirm(sdb_directory *directory, const uint8_t token[SEQDB_TOKEN_BYTES], sdb_failure *f) {
  bool same;
  if (claims_say(directory, directory->owner.file, token, &same, f) != SQLITE_OK) return f->code;
  if (same && directory->owner.claims_version == seqdb_claims_version(directory->engine)) return SQLITE_OK;
  if (refuse_copy(directory, f) == SQLITE_OK && same) return SQLITE_OK;
  sdb_owner_forget(directory);
  return f->code != SQLITE_OK ? f->code : sdb_agree_refuse_times(directory, SQLITE_READONLY, f);
}

/* ---- reading (T6) ------------------------------------------------------------------------------------------ */

/* Without a look at any file: there is no row, or a claim says the same. */
static int says_the_same(sdb_directory *directory, bool *same, sdb_failure *f) {
  sdb_row row;
  bool has_row;
  if (sdb_shadow_read(directory, &row, &has_row, f) != SQLITE_OK) return f->code;
  *same = !has_row;
  return has_row ? claims_say(directory, row.file, row.token, same, f) : SQLITE_OK;
}

/* Do row and claims contradict each other?  Of a copy, and of what is new or lost, only writing tells. */
static bool contradicts(const struct evidence *e) {
  if (!e->path || !e->has_row) return false;
  if (!e->named) return e->count > 0 && !is_new(e->row.token);
  return e->ours == e->named && !is_of_now(e);
}

/* The row in the connection's snapshot may be older than what others have committed since, and what they commit
** meanwhile may be newer than the claims: *sure if nothing has changed while it was read anew. */
static int look_again(sdb_directory *directory, struct evidence *e, bool *sure, sdb_failure *f) {
  const sdb_asking asking = {directory->connection, directory->schema, directory->path};
  struct evidence after;
  sdb_row_key key;
  int rc = sdb_row_key_take(directory->engine, &key);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, directory->engine, rc);
  *sure = sdb_ask_newest(&asking, &key, &e->row) && !seqdb_is_marked(directory->engine);
  if (!*sure) return SQLITE_OK;
  if (look(directory, &after, f) != SQLITE_OK) return f->code;
  *sure = after.count == e->count && memcmp(after.claims, e->claims, e->count * sizeof *e->claims) == 0;
  return SQLITE_OK;
}

int sdb_owner_compare(sdb_directory *directory, bool *differ, sdb_failure *f) {
  struct evidence e;
  bool sure = true;
  *differ = directory->compared = false;
  if (directory->blind || is_nobodys(directory)) return SQLITE_OK;
  if (seqdb_is_marked(directory->engine) || seqdb_has_changes(directory->engine)) return SQLITE_OK;
  if (says_the_same(directory, &directory->compared, f) != SQLITE_OK || directory->compared) return f->code;
  if (look(directory, &e, f) != SQLITE_OK) return f->code;
  if (contradicts(&e) && look_again(directory, &e, &sure, f) != SQLITE_OK) return f->code;
  *differ = sure && contradicts(&e);
  directory->compared = sure && !*differ;
  return SQLITE_OK;
}

int sdb_owner_may_read(sdb_directory *directory, sdb_failure *f) {
  bool differ;
  if (directory->compared) return SQLITE_OK;
  if (sdb_owner_compare(directory, &differ, f) != SQLITE_OK) {
    if (f->code != SQLITE_NOMEM && f->code != SQLITE_INTERRUPT) sdb_failure_clear(f); /* whoever writes is told */
    return f->code;
  }
  return differ ? sdb_agree_refuse_times(directory, SQLITE_CANTOPEN, f) : SQLITE_OK;
}

/* ---- CREATE ------------------------------------------------------------------------------------------------ */

int sdb_owner_create(sdb_directory *directory, sdb_failure *f) {
  struct evidence e;
  if (is_nobodys(directory) || !sdb_path_file(directory->connection->db, directory->schema)) return SQLITE_OK;
  if (seqdb_is_readonly(directory->engine, NULL)) return SQLITE_OK; /* made when it is first written */
  if (look(directory, &e, f) != SQLITE_OK) return f->code;
  return directory->owner.twin && !e.has_row ? SQLITE_OK : claim(directory, &e, true, f);
}

/* ---- takeover ----------------------------------------------------------------------------------------------
**
** A takeover begins another history: the directory gets another uuid in the header that has the claim
** (seqdb_take_over()).  Row and header cannot change at once.  So a row is known by its file's uuid, too (row.h),
** whatever uuid the directory has got meanwhile, by this takeover or another file's; the next commit writes the new
** one into it.  And of row and header that is written last which decides; the other one is durable before:
**
**   the file                            written first                     decides
**   is a copy: its row means a claim    the row has the claim's token:    the header, with uuid and claim.  Before that
**   of another file                     nobody asks a copy's row          the file is a copy
**   has lost its row, or is of another  the header, with uuid, and the    the row.  Before that the file is refused as
**   time than the directory             token that the row will have      it was: nobody can write it
**   is not known to the directory       the same                          the header: the row is made when the file
**                                                                         writes
**
** INVARIANT: whatever fails, or ends, in between, the file is the owner, or is what it was and may take over again.
*/

/* What row and claim will say.  The file's uuid stays what it was, if there was one: its other copies are told as such.
*/
static int plan(sdb_directory *directory, const struct evidence *e, seqdb_claim *claim, sdb_row *row, sdb_failure *f) {
  const seqdb_claim *old = e->named; /* of a copy: the original is the copy from now on */
  if (!old && (!e->has_row || e->count == SEQDB_CLAIMS_MAX)) old = e->ours;
  if (sdb_file_claim(directory->path, e->path, claim, f) != SQLITE_OK) return f->code;
  *row = (sdb_row){.generation = 0};
  if (old) {
    memcpy(row->file, old->file, sizeof row->file);
    memcpy(row->token, old->settled, sizeof row->token);
  } else if (e->has_row) {
    memcpy(row->file, e->row.file, sizeof row->file);
  } else {
    sqlite3_randomness((int)sizeof row->file, row->file);
  }
  memcpy(claim->file, row->file, sizeof claim->file);
  memcpy(claim->settled, row->token, sizeof claim->settled);
  return SQLITE_OK;
}

/* Durable at once: no commit of regions waits for it. */
static int put_row(sdb_directory *directory, const struct evidence *e, sdb_row *row, sdb_failure *f) {
  sqlite3 *db = directory->connection->db;
  seqdb_get_uuid(directory->engine, row->directory);
  int rc = e->has_row ? sdb_row_replace(db, directory->schema, &e->row, row, f) : sdb_shadow_put(directory, row, f);
  if (rc == SQLITE_NOTFOUND) {
    sdb_failure_clear(f);
    rc = sdb_failure_set(f, SQLITE_BUSY, "%s: another connection has taken over meanwhile; try again", directory->name);
  }
  return rc == SQLITE_OK ? sdb_file_sync(db, directory->schema, f) : rc;
}

static int put_claim(seqdb *engine, void *claim) {
  return seqdb_take_over(engine, claim);
}

/* What the original of a copy has left, with the same uuid, only that file can tell, and bury. */
static void settle_taken(sdb_directory *directory, bool copy, const seqdb_claim *claim) {
  memset(directory->owner.file, 0, sizeof directory->owner.file);
  if (!copy) memcpy(directory->owner.file, claim->file, sizeof directory->owner.file);
  seqdb_set_file(directory->engine, copy ? NULL : claim->file, 1);
  settle_before(directory);
  memcpy(directory->owner.file, claim->file, sizeof directory->owner.file);
  seqdb_set_file(directory->engine, claim->file, 1);
}

/* Who was waited for has committed, perhaps. */
static int put_header(sdb_directory *directory, bool copy, seqdb_claim *claim, sdb_failure *f) {
  int rc = sdb_directory_patiently(directory, put_claim, claim);
  if (rc == SEQDB_BUSY) {
    settle_taken(directory, copy, claim);
    rc = put_claim(directory->engine, claim);
  }
  return sdb_failure_engine(f, directory->engine, rc);
}

static int take_over(sdb_directory *directory, struct evidence *e, sdb_failure *f) {
  bool copy = e->named && e->ours != e->named;
  seqdb_claim mine;
  sdb_row row;
  if (plan(directory, e, &mine, &row, f) != SQLITE_OK) return f->code;
  settle_taken(directory, copy, &mine);
  if (copy && put_row(directory, e, &row, f) != SQLITE_OK) return f->code;
  if (put_header(directory, copy, &mine, f) != SQLITE_OK) return f->code;
  if (!copy && put_row(directory, e, &row, f) != SQLITE_OK) return f->code;
  e->row = row;
  e->version = seqdb_claims_version(directory->engine);
  settle(directory, SDB_OWNER_THIS, e);
  return SQLITE_OK;
}

int sdb_owner_take_over(sdb_directory *directory, char **from, sdb_failure *f) {
  struct evidence e;
  *from = NULL;
  if (is_nobodys(directory))
    return sdb_failure_set(f, SQLITE_ERROR, "%s: a table with atomic=0 has no owner", directory->name);
  if (!sdb_path_file(directory->connection->db, directory->schema))
    return sdb_failure_set(f, SQLITE_ERROR, "%s: a database without a file cannot own a directory", directory->name);
  if (look(directory, &e, f) != SQLITE_OK) return f->code;
  if (directory->owner.twin && !e.has_row) return is_twin(directory, f);
  if (e.has_row && e.named && e.ours == e.named && is_of_now(&e)) return SQLITE_OK;
  const seqdb_claim *other = e.named ? e.named : e.count && !e.ours ? &e.claims[0] : NULL;
  *from = other ? sdb_file_of_claim(directory->path, other) : NULL;
  if (!*from) *from = sqlite3_mprintf("nobody");
  if (!*from) return sdb_failure_nomem(f);
  if (take_over(directory, &e, f) != SQLITE_OK) sdb_owner_forget(directory);
  return f->code;
}
