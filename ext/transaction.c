/* SPDX-License-Identifier: MIT
**
** transaction.c: the life of a transaction, from xBegin to xCommit or xRollback.
**
** SQLite may hold several objects of one table and calls each of them, so every function may be called several times.
** Nothing begins in the engine before the first change: SELECT, DELETE of no rows and INSERT OR IGNORE of a known name
** neither wait for the writer lock nor write.
**
**   xBegin        functions act on the engine directly from here on
**   xSync         everything that can fail: the whole transaction in a durable prepare record
**   xCommit       publish: cannot fail, SQLite would not listen
**   xRollback     undo; after an xSync too (another table's xSync, or SQLite's own commit, failed)
**   xSavepoint    a mark in the engine with SQLite's number.  The engine takes a number without a mark as the begin
**
** xSync may come again with changes between (COMMIT answered SQLITE_BUSY and the program went on), or without: the
** state SYNCED spares the second record then.
**
** After ALTER TABLE a new object joins late and gets xSavepoint(n) of a savepoint that is older than the changes made
** so far.  Such a number makes no new mark: the one that is there is right.
*/
#include <assert.h>
#include <string.h>
#include "agree.h"
#include "feed_state.h"
#include "file.h"
#include "owner.h"
#include "shadow.h"
#include "transaction.h"

bool sdb_transaction_takes_changes(const sdb_directory *directory) {
  enum sdb_transaction_state state = directory->transaction.state;
  return state == SDB_TRANSACTION_ENLISTED || state == SDB_TRANSACTION_MIXED;
}

/* ---- from state to state ----------------------------------------------------------------------------------- */

void sdb_transaction_begin(sdb_directory *directory) {
  sdb_transaction *t = &directory->transaction;
  if (t->state == SDB_TRANSACTION_NONE) t->state = SDB_TRANSACTION_ENLISTED;
}

void sdb_transaction_created(sdb_directory *directory, int level) {
  sdb_transaction_begin(directory); /* SQLite calls no xBegin after xCreate */
  directory->transaction.created_level = level;
}

/* Before the first change: is it ours, and does it say what the rows do?  Before later ones the writer lock is ours:
** claims and mark stay as they are.  Asked each time, that made an append of 64 bytes a quarter slower. */
static int may_change(sdb_directory *directory, sdb_failure *f) {
  sdb_transaction *t = &directory->transaction;
  if (t->admitted) return SQLITE_OK;
  int changed = seqdb_has_changes(directory->engine);
  if (changed != 0) { /* below 0 is for the change itself to tell */
    t->admitted = sdb_owner_may_write(directory, f) == SQLITE_OK && changed > 0;
    return f->code;
  }
  if (directory->atomic && sdb_agree_write(directory, f) != SQLITE_OK) return f->code;
  if (sdb_owner_may_write(directory, f) != SQLITE_OK) return f->code;
  return sdb_agree_others(directory, f);
}

/* Between xSync and xCommit only a commit hook comes here in autocommit mode: a COMMIT that was refused has left it. */
int sdb_transaction_changes(sdb_directory *directory, sdb_failure *f) {
  sdb_transaction *t = &directory->transaction;
  assert(t->state != SDB_TRANSACTION_NONE);
  if (t->state != SDB_TRANSACTION_SYNCED) return may_change(directory, f);
  if (sqlite3_get_autocommit(directory->connection->db))
    return sdb_failure_set(f, SQLITE_MISUSE,
                           "seqdb table %s: a commit is under way: a commit hook must not change regions",
                           directory->name);
  t->state = SDB_TRANSACTION_ENLISTED;
  return may_change(directory, f);
}

/* The first failure counts: only a savepoint before it mends the bytes. */
void sdb_transaction_mixed(sdb_directory *directory, int code) {
  sdb_transaction *t = &directory->transaction;
  assert(sdb_transaction_takes_changes(directory));
  if (t->state == SDB_TRANSACTION_MIXED) return;
  t->state = SDB_TRANSACTION_MIXED;
  t->mixed_level = t->level;
  t->mixed_code = code;
}

void sdb_transaction_touched(sdb_directory *directory) {
  sdb_transaction *t = &directory->transaction;
  if (t->touched) return;
  t->touched = true;
  t->touched_level = t->level;
}

void sdb_transaction_looked(sdb_directory *directory, bool right, int schema_version) {
  sdb_transaction *t = &directory->transaction;
  t->looked = true;
  t->looked_level = t->level;
  t->looked_right = right;
  t->looked_schema = schema_version;
}

void sdb_transaction_forget_look(sdb_directory *directory) {
  directory->transaction.looked = false;
  directory->watch.known = false;
}

void sdb_transaction_scans(sdb_directory *directory, sdb_loan *loan) {
  sdb_transaction *t = &directory->transaction;
  sdb_loan *before = t->scanned;
  sdb_matched_clear(&t->matched);
  t->scanned = loan ? sdb_loan_share(loan) : NULL;
  sdb_loan_return(directory->connection, before);
}

void sdb_transaction_forget_appended(sdb_directory *directory) {
  directory->transaction.appended.bytes = 0;
}

/* The one place where a transaction ends. */
static void end(sdb_directory *directory) {
  sdb_transaction *t = &directory->transaction;
  t->state = SDB_TRANSACTION_NONE;
  t->level = -1;
  t->created_level = SDB_NOT_CREATED;
  t->ends++;
  t->admitted = false;
  t->touched = t->looked = t->applies = false;
  t->row_written = false;
  t->durability = 0;
  seqdb_set_settles(directory->engine, SEQDB_SETTLES_NOTHING);
  directory->owner.made = false;
  sdb_transaction_forget_appended(directory);
  sdb_transaction_scans(directory, NULL);
}

/* A row that was made in this transaction may be gone now. */
static void forget_made(sdb_directory *directory) {
  if (directory->owner.made) sdb_owner_forget(directory);
}

static int write_row(sdb_directory *directory, uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES],
                     sdb_failure *f) {
  sdb_transaction *t = &directory->transaction;
  sdb_row before;
  if (sdb_shadow_write(directory, generation, token, &before, f) != SQLITE_OK) return f->code;
  if (t->row_written) return SQLITE_OK;
  if (sdb_owner_confirm(directory, before.token, f) != SQLITE_OK) return f->code; /* all is rolled back, the row too */
  t->row_written = true;
  t->row_generation = before.generation;
  memcpy(t->row_token, before.token, sizeof t->row_token);
  return SQLITE_OK;
}

/* All was undone since an earlier xSync: the row says what it did before that.  That need not be the newest commit:
** compaction makes some that no SQLite file knows. */
static int put_row_back(sdb_directory *directory, sdb_failure *f) {
  const sdb_transaction *t = &directory->transaction;
  sdb_row ignored;
  if (!t->row_written) return SQLITE_OK;
  return sdb_shadow_write(directory, t->row_generation, t->row_token, &ignored, f);
}

/* T1: first the prepare, durably, then its token into the SQLite file.  The claims may be others than before the first
** change; now the writer lock is ours, and they stay. */
static int prepare(sdb_directory *directory, sdb_failure *f) {
  sdb_transaction *t = &directory->transaction;
  sdb_owner *owner = &directory->owner;
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint64_t generation = 0;
  if (sdb_owner_may_upkeep(directory, f) != SQLITE_OK) return f->code;
  bool one = owner->state == SDB_OWNER_THIS;
  t->durability = one ? sdb_file_durability(directory->connection->db, directory->schema) : 0;
  seqdb_set_file(directory->engine, one ? owner->file : NULL, t->durability);
  int rc = seqdb_prepare(directory->engine, token, &generation);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, directory->engine, rc);
  if (!one) return SQLITE_OK;
  return generation == 0 ? put_row_back(directory, f) : write_row(directory, generation, token, f);
}

/* A change object is applied as a whole: all its parts are one commit. */
static int refuse_half_object(sdb_directory *directory, sdb_failure *f) {
  sdb_feed_state state;
  if (!directory->transaction.applies || sdb_feed_state_read(directory, &state, f) != SQLITE_OK || state.part == 0)
    return f->code;
  return sdb_failure_set(
      f, SQLITE_CONSTRAINT,
      "%s: %u parts of the object to generation %llu are applied, and the last one is not: all parts "
      "are one commit",
      directory->name, state.part, (unsigned long long)state.to);
}

int sdb_transaction_sync(sdb_directory *directory, sdb_failure *f) {
  sdb_transaction *t = &directory->transaction;
  if (t->state == SDB_TRANSACTION_SYNCED) return SQLITE_OK;
  if (t->state == SDB_TRANSACTION_NONE) return SQLITE_OK; /* the CREATE was undone, and SQLite goes on with it */
  if (refuse_half_object(directory, f) != SQLITE_OK) return f->code;
  t->admitted = false;
  if (seqdb_has_changes(directory->engine)) {
    if (t->state == SDB_TRANSACTION_MIXED) {
      return sdb_failure_set(f, t->mixed_code,
                             "seqdb table %s: an overwrite failed half way in this transaction: roll it back",
                             directory->name);
    }
    if (prepare(directory, f) != SQLITE_OK) return f->code;
  }
  t->state = SDB_TRANSACTION_SYNCED; /* without changes too: one made by another table's xSync would come too late */
  return SQLITE_OK;
}

/* Not before: what is rolled back leaves its schema_version to another schema. */
static void know_schema(sdb_directory *directory) {
  const sdb_transaction *t = &directory->transaction;
  if (!t->looked || !t->looked_right) return;
  directory->watch.known = true;
  directory->watch.schema = t->looked_schema;
}

void sdb_transaction_commit(sdb_directory *directory) {
  if (directory->transaction.durability) sdb_agree_commit(directory, directory->transaction.durability);
  seqdb_publish(directory->engine);
  know_schema(directory);
  end(directory);
  sdb_owner_committed(directory);
}

int sdb_transaction_rollback(sdb_directory *directory, sdb_failure *f) {
  if (directory->transaction.state == SDB_TRANSACTION_SYNCED && directory->transaction.row_written)
    directory->doubt = true;
  int rc = seqdb_rollback(directory->engine);
  forget_made(directory);
  end(directory);
  return sdb_failure_engine(f, directory->engine, rc);
}

/* ---- savepoints -------------------------------------------------------------------------------------------- */

int sdb_transaction_savepoint(sdb_directory *directory, int level, sdb_failure *f) {
  sdb_transaction *t = &directory->transaction;
  if (level <= t->level) return SQLITE_OK;
  int rc = seqdb_release(directory->engine, level); /* left by a RELEASE that failed: for SQLite it has happened */
  if (rc == SEQDB_OK) rc = seqdb_savepoint(directory->engine, level);
  if (rc == SEQDB_OK) t->level = level;
  return sdb_failure_engine(f, directory->engine, rc);
}

int sdb_transaction_release(sdb_directory *directory, int level, sdb_failure *f) {
  sdb_transaction *t = &directory->transaction;
  t->level = level - 1;
  if (t->mixed_level > t->level) t->mixed_level = t->level;
  if (t->touched_level > t->level) t->touched_level = t->level;
  if (t->looked_level > t->level) t->looked_level = t->level;
  return sdb_failure_engine(f, directory->engine, seqdb_release(directory->engine, level));
}

int sdb_transaction_rollback_to(sdb_directory *directory, int level, sdb_failure *f) {
  sdb_transaction *t = &directory->transaction;
  bool mended = t->state == SDB_TRANSACTION_MIXED && level <= t->mixed_level;
  if (mended || t->state == SDB_TRANSACTION_SYNCED) t->state = SDB_TRANSACTION_ENLISTED;
  t->level = level;
  t->admitted = false;
  sdb_transaction_forget_appended(directory);
  forget_made(directory);
  int rc = seqdb_rollback_to(directory->engine, level);
  t->touched = t->touched && t->touched_level < level;
  t->looked = t->looked && t->looked_level < level;
  if (rc == SEQDB_OK && t->touched) rc = seqdb_touch(directory->engine); /* to the engine it is no change */
  return sdb_failure_engine(f, directory->engine, rc);
}

/* ---- of a table that was created in this transaction ------------------------------------------------------- */

void sdb_transaction_release_creation(sdb_directory *directory, int level) {
  sdb_transaction *t = &directory->transaction;
  if (t->created_level >= level) t->created_level = level - 1;
}

int sdb_transaction_undo_creation(sdb_directory *directory, int level, sdb_failure *f) {
  if (directory->transaction.created_level < level) return SQLITE_OK; /* not created, or before that savepoint */
  sdb_directory_lose_name(directory);
  return sdb_transaction_rollback(directory, f); /* there were no changes when it was created */
}
