/* SPDX-License-Identifier: MIT
**
** rig_restart.c: the rig's sessions that end badly.  A process dies after some call, or a sync fails, and the next
** session starts on the page cache that is left, of which the disk may hold less; it works on, and the power is cut
** later.  Also where it matters most: while a directory is made, and while one of rawdb's gets its journal.
*/
#include <string.h>
#include "disk/os_sim.h"
#include "crash/rig.h"

#define EIO_ERROR 5
#define PAGE      4096u

/* The calls of a process that dies are refused from some call on; else one of the next syncs fails. */
static void begin_end(rig *r, size_t calls) {
  static const char *const files[] = {NULL, "data", "regions", "journal"};
  sdb_sim_set_fail_seed(rig_random(r) % 4);
  if (rig_below(r, 2)) {
    sdb_fault_stop_start(rig_below(r, calls));
    return;
  }
  sdb_fault_rule rule = {.kinds = SDB_CALL_BIT(SDB_CALL_FDATASYNC) | SDB_CALL_BIT(SDB_CALL_SYNCDIR),
                         .error = EIO_ERROR};
  rule.file = files[rig_below(r, 4)];
  rule.nth = 1 + (rig_below(r, 2) ? rig_below(r, 3) : 0);
  rule.performed = rig_below(r, 4) == 0;
  sdb_fault_add(&rule);
}

unsigned rig_flags(const rig *r) {
  return r->profile == RIG_RESTARTS ? SEQDB_OPEN_ADOPT : 0;
}

static int open_quietly(rig *r, unsigned flags) {
  seqdb_error e = SEQDB_ERROR_INIT;
  seqdb_options options = {
      .size_bytes = sizeof options, .flags = flags | rig_flags(r), .coordinator = r->coordinated ? "host.db" : NULL};
  seqdb_stat_info info = SEQDB_STAT_INIT;
  int rc = rig_open_watched(r, &options, &e, &r->db);
  /* Where rawdb has been, generations begin anew. */
  r->generation = rc == SEQDB_OK && seqdb_stat(r->db, &info) == SEQDB_OK ? info.generation : 0;
  return rc;
}

/* The next session, and the right state that it finds: that one alone is right from now on. */
static bool next_session(rig *r) {
  seqdb_error why = SEQDB_ERROR_INIT;
  seqdb_stat_info info = SEQDB_STAT_INIT;
  char first[300];
  rig_no_faults(r);
  sdb_sim_restart();
  if ((rig_below(r, 4) == 0 || open_quietly(r, 0) != SEQDB_OK) && !r->db && !rig_open_db(r)) return false;
  if (seqdb_is_readonly(r->db, &why)) return rig_fail(r, "the next session: %s", why.message);
  seqdb_view *view = seqdb_own_view(r->db);
  const char *difference = rig_differs(view, r->right.acked);
  if (difference) {
    memcpy(first, difference, sizeof first);
    if (r->right.in_flight && !rig_differs(view, r->right.in_flight))
      rig_set_state(&r->right.acked, r->right.in_flight);
    else if (r->right.earlier && !rig_differs(view, r->right.earlier))
      rig_set_state(&r->right.acked, r->right.earlier);
    else
      return rig_fail(r, "the next session, against the acknowledged commit: %s", first);
  }
  rig_set_state(&r->right.before, NULL);
  rig_forget(r);
  r->generation = seqdb_stat(r->db, &info) == SEQDB_OK ? info.generation : 0;
  return true;
}

bool rig_begin(rig *r) {
  if (r->profile != RIG_RESTARTS) return rig_open_db(r);
  while (rig_below(r, 3)) {
    begin_end(r, 22);
    (void)open_quietly(r, SEQDB_OPEN_CREATE);
    rig_close_db(r);
    if (!next_session(r)) return false;
    if (rig_below(r, 2)) return true;
    rig_close_db(r);
  }
  return rig_open_db(r);
}

/* rawdb has rewritten every `each`th entry, so it has no trailer any more.  Where rawdb has been from the beginning,
** all of them, and there is no journal, and `data` ends with the content of its last region. */
static void as_rawdb(rig *r, uint64_t each) {
  static const uint8_t zeros[64];
  uint8_t entry[24];
  size_t got;
  uint64_t end = PAGE;
  sdb_sim_entry file;
  sdb_fd dir;
  bool cloning = r->cloning;
  for (size_t i = 0; sdb_sim_list(RIG_PATH, i, &file) == 0; i++)
    if (strcmp(file.name, "regions") == 0 &&
        (file.cache_bytes % PAGE || file.disk_bytes != file.cache_bytes || file.unsynced))
      return; /* not closed cleanly, or not durably */
  for (uint64_t page = 0; sdb_sim_peek(RIG_PATH "/regions", page * PAGE, entry, sizeof entry, &got) == 0 && got;
       page++) {
    uint64_t start = sdb_get64(entry), length = sdb_get64(entry + 8);
    if (start + length > end) end = (start + length + PAGE - 1) / PAGE * PAGE;
    if (page % each == 0)
      (void)sdb_sim_poke(RIG_PATH "/regions", (page + 1) * PAGE - sizeof zeros, zeros, sizeof zeros);
  }
  if (each > 1) return;
  r->cloning = false; /* in between it is damaged */
  if (sdb_os_open_dir(RIG_PATH, &dir) == 0) {
    (void)sdb_os_unlink(dir, "journal");
    (void)sdb_os_sync_dir(dir);
    sdb_os_close(dir);
  }
  (void)sdb_sim_set_size(RIG_PATH "/data", end);
  r->cloning = cloning;
}

bool rig_restart(rig *r) {
  size_t fresh = rig_below(r, 4);
  if (fresh) { /* the session that ends badly has written nothing yet */
    rig_close_db(r);
    rig_forget(r);
    rig_set_state(&r->right.before, NULL);
    if (fresh == 3) as_rawdb(r, 1 + rig_below(r, 2));
  }
  begin_end(r, fresh == 3 ? 12 : 20);
  if (!r->db) (void)open_quietly(r, 0);
  int rc = r->db ? SEQDB_OK : SEQDB_IO;
  for (size_t n = rig_below(r, 3); rc == SEQDB_OK && n > 0; n--)
    rc = rig_any_op(r);
  if (rc == SEQDB_OK) (void)rig_sync_op(r); /* after a failed commit nobody goes on */
  rig_close_db(r);
  return next_session(r) &&
         (rig_below(r, 2) || rig_sync_op(r) == SEQDB_OK || rig_fail(r, "the next session cannot write"));
}
