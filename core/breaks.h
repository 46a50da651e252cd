/* SPDX-License-Identifier: MIT
**
** breaks.h: rules of the engine that a test can break on purpose, to see that the power-cut tests would notice.  Layer 0.
** Where the code keeps a rule it asks sdb_break(); in a build without SDB_FAULTS that is the constant false, and nothing of it
** is left.  At most one rule is broken at a time.
** THREADS: set while the engine is at rest.
*/
#ifndef SDB_BREAKS_H
#define SDB_BREAKS_H

#include <stdbool.h>

enum sdb_rule {
  SDB_RULE_NONE,
  SDB_RULE_REDO_PIN,             /* extents with ranges of journal records in them are not reused */
  SDB_RULE_REDO_DIRECT,          /* bytes in ranges of journal records are not written directly */
  SDB_RULE_EXACT_IMAGES,         /* ranges of a record are exact, never padded to a page */
  SDB_RULE_OVERLAY,              /* overwrites wait for the snapshots older than their commit */
  SDB_RULE_MAY_DIRECT,           /* a length counts in every live catalog, not in the last commit's alone */
  SDB_RULE_ZERO_GROW,            /* growth with zeros writes them */
  SDB_RULE_ZERO_DURABLE,         /* ... and waits for them as for other bytes */
  SDB_RULE_CHK_SYNC_DATA,        /* a checkpoint syncs `data` before it writes entries */
  SDB_RULE_TWO_PASS,             /* recovery decides about all records before it applies one */
  SDB_RULE_SYNC_ABORT,           /* the record that drops a prepare is durable before rollback returns */
  SDB_RULE_IMPLICIT_COMMIT,      /* the record after a prepare has decided about it */
  SDB_RULE_CHK_NO_UNDECIDED,     /* no checkpoint between prepare and decision */
  SDB_RULE_SP_GUARD,             /* what a savepoint sees is not overwritten */
  SDB_RULE_RECOVER_CKPT,         /* recovery ends with a checkpoint */
  SDB_RULE_KILL_FAILED,          /* a record whose write failed is made none */
  SDB_RULE_HDR_SYNC,             /* a new header is durable before records overwrite the old ones */
  SDB_RULE_CHECK_LATE,           /* entries are checked after redo: a torn one that a record names is no damage */
  SDB_RULE_RESUPERSEDE,          /* a second prepare of a transaction drops the first */
  SDB_RULE_COPY_VIA_OVERLAY,     /* a region is moved as readers see it, not as `data` is */
  SDB_RULE_APPLY_BEFORE_RELEASE, /* overlays are applied before anything lets go of the bytes below them */
  SDB_RULE_CHK_WAITS_OVERLAY,    /* no checkpoint while an overlay is held back */
  SDB_RULE_R3_SYNC,              /* a commit syncs `data` before a record that does not carry its bytes */
  SDB_RULE_NAMED_ONLY,           /* a checkpoint writes the entries that records name and no others */
  SDB_RULE_CHK_DECIDES,          /* a checkpoint records the decision about a published prepare first */
  SDB_RULE_RECORD_FIRST,         /* overwrites reach `data` after their record is durable */
  SDB_RULE_GUARD_COMMIT,         /* the guard is set before a commit's first fdatasync */
  SDB_RULE_GUARD_HEADER,         /* ... and before a header is written */
  SDB_RULE_ADOPT_SYNC,           /* what rawdb wrote is durable before a journal remembers it */
  SDB_RULE_SYNC_NAMES, /* names that a killed process may have left unsynced are synced before the first change */
  SDB_RULES
};

#ifdef SDB_FAULTS
bool sdb_break(enum sdb_rule rule); /* is this one to be broken now? */
bool sdb_break_any(void);           /* some rule is broken: assertions of the rules are off */
void sdb_break_set(enum sdb_rule rule);
const char *sdb_rule_name(enum sdb_rule rule); /* "redo_pin" */
#ifdef SDB_COVERAGE
#define sdb_break(rule) false /* tests/coverage counts the branches of what is shipped */
#define sdb_break_any() false
#endif
#else
#define sdb_break(rule) false
#define sdb_break_any() false
#endif

#endif /* SDB_BREAKS_H */
