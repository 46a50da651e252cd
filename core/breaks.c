/* SPDX-License-Identifier: MIT
**
** breaks.c: see breaks.h.  Test builds only.
*/
#include "breaks.h"

#include <stdatomic.h>

static _Atomic int broken;

#undef sdb_break
#undef sdb_break_any
bool sdb_break(enum sdb_rule rule) {
  return atomic_load_explicit(&broken, memory_order_relaxed) == (int)rule;
}

bool sdb_break_any(void) {
  return !sdb_break(SDB_RULE_NONE);
}

void sdb_break_set(enum sdb_rule rule) {
  atomic_store(&broken, (int)rule);
}

const char *sdb_rule_name(enum sdb_rule rule) {
  static const char *const names[SDB_RULES] = {
      [SDB_RULE_NONE] = "none",
      [SDB_RULE_REDO_PIN] = "redo_pin",
      [SDB_RULE_REDO_DIRECT] = "redo_direct",
      [SDB_RULE_EXACT_IMAGES] = "exact_images",
      [SDB_RULE_OVERLAY] = "overlay",
      [SDB_RULE_MAY_DIRECT] = "may_direct",
      [SDB_RULE_ZERO_GROW] = "zero_grow",
      [SDB_RULE_ZERO_DURABLE] = "zero_durable",
      [SDB_RULE_CHK_SYNC_DATA] = "chk_sync_data",
      [SDB_RULE_TWO_PASS] = "two_pass",
      [SDB_RULE_SYNC_ABORT] = "sync_abort",
      [SDB_RULE_IMPLICIT_COMMIT] = "implicit_commit",
      [SDB_RULE_CHK_NO_UNDECIDED] = "chk_no_undecided",
      [SDB_RULE_SP_GUARD] = "sp_guard",
      [SDB_RULE_RECOVER_CKPT] = "recover_ckpt",
      [SDB_RULE_KILL_FAILED] = "kill_failed",
      [SDB_RULE_HDR_SYNC] = "hdr_sync",
      [SDB_RULE_CHECK_LATE] = "check_late",
      [SDB_RULE_RESUPERSEDE] = "resupersede",
      [SDB_RULE_COPY_VIA_OVERLAY] = "copy_via_overlay",
      [SDB_RULE_APPLY_BEFORE_RELEASE] = "apply_before_release",
      [SDB_RULE_CHK_WAITS_OVERLAY] = "chk_waits_overlay",
      [SDB_RULE_R3_SYNC] = "R3_sync",
      [SDB_RULE_NAMED_ONLY] = "named_only",
      [SDB_RULE_CHK_DECIDES] = "chk_decides",
      [SDB_RULE_RECORD_FIRST] = "record_first",
      [SDB_RULE_GUARD_COMMIT] = "guard_commit",
      [SDB_RULE_GUARD_HEADER] = "guard_header",
      [SDB_RULE_ADOPT_SYNC] = "adopt_sync",
      [SDB_RULE_SYNC_NAMES] = "sync_names",
  };
  return names[rule];
}
