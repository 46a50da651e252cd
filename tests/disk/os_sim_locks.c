/* SPDX-License-Identifier: MIT
**
** os_sim_locks.c: what processes share on the simulated disk: locks on bytes, as F_OFD_SETLK has them, and mappings to
** write through.  Layer 0, test builds only.
** OWNS: the list of locks in each inode.  THREADS: everything runs inside os_sim.c's lock.
** INVARIANT: a byte has one exclusive owner, or any number of shared ones.
*/
#include <errno.h>
#include "os_faults.h"
#include "os_sim.h"
#include "os_sim_image.h"

void sdb_sim_drop_byte_locks(sdb_sim_inode *inode, sdb_fd owner, uint64_t from, uint64_t bytes) {
  size_t kept = 0;
  for (size_t i = 0; i < inode->byte_lock_count; i++) {
    const sdb_sim_byte_lock *held = &inode->byte_locks[i];
    if (held->owner != owner || held->at < from || held->at - from >= bytes) {
      inode->byte_locks[kept++] = *held;
    }
  }
  inode->byte_lock_count = kept;
}

/* Converting what a handle has, in place. */
int sdb_sim_lock_byte(sdb_fd file, uint64_t at, bool exclusive) {
  sdb_sim_inode *inode = NULL;
  int rc = sdb_sim_enter_file(file, exclusive, &inode);
  for (size_t i = 0; rc == 0 && i < inode->byte_lock_count; i++) {
    const sdb_sim_byte_lock *held = &inode->byte_locks[i];
    if (held->at == at && held->owner != file && (exclusive || held->exclusive)) {
      rc = EWOULDBLOCK;
    }
  }
  if (rc == 0) {
    sdb_sim_drop_byte_locks(inode, file, at, 1);
    inode->byte_locks = sdb_sim_memory(inode->byte_locks, (inode->byte_lock_count + 1) * sizeof *inode->byte_locks);
    inode->byte_locks[inode->byte_lock_count++] = (sdb_sim_byte_lock){file, at, exclusive};
  }
  sdb_sim_leave();
  return rc;
}

int sdb_sim_unlock_bytes(sdb_fd file, uint64_t from, uint64_t bytes) {
  sdb_sim_inode *inode = NULL;
  int rc = sdb_sim_enter_file(file, false, &inode);
  if (rc == 0) {
    sdb_sim_drop_byte_locks(inode, file, from, bytes);
  }
  sdb_sim_leave();
  return rc;
}

int sdb_sim_byte_is_locked(sdb_fd file, uint64_t at, bool *locked) {
  sdb_sim_inode *inode = NULL;
  int rc = sdb_sim_enter_file(file, false, &inode);
  *locked = false;
  for (size_t i = 0; rc == 0 && i < inode->byte_lock_count; i++) {
    *locked |= inode->byte_locks[i].at == at && inode->byte_locks[i].owner != file;
  }
  sdb_sim_leave();
  return rc;
}

int sdb_sim_share(sdb_fd file, size_t bytes, void **address) {
  sdb_sim_inode *inode = NULL;
  int rc = sdb_sim_enter_file(file, true, &inode);
  if (rc == 0 && (rc = sdb_real_share(inode->memory_fd, bytes, address)) == 0) {
    inode->shared_bytes = SDB_MAX(inode->shared_bytes, bytes);
  }
  sdb_sim_leave();
  return rc;
}

/* One event stands for all that was written: what older ones of these sectors say may be lost. */
void sdb_sim_note_shared(sdb_sim_disk *disk) {
  for (size_t i = 1; i < disk->count; i++) {
    sdb_sim_inode *inode = disk->inodes[i];
    sdb_events kept = {0};
    if (inode == NULL || inode->shared_bytes == 0 || inode->memory_fd < 0) {
      continue;
    }
    for (size_t e = 0; e < inode->events.count; e++) {
      if (inode->events.list[e]->kind == SDB_EVENT_LENGTH) {
        sdb_events_add(&kept, SDB_EVENT_LENGTH, 0, 0)->length = inode->events.list[e]->length;
      }
    }
    sdb_events_clear(&inode->events);
    inode->events = kept;
    if (inode->length > 0) {
      sdb_sim_record_data(inode, 0, SDB_MIN(inode->length, inode->shared_bytes));
    }
  }
}

/* ---- stamps ------------------------------------------------------------------------------------------------ */

int sdb_sim_stamp_of(sdb_fd file, sdb_os_stamp *stamp) {
  sdb_sim_inode *inode = NULL;
  int rc = sdb_sim_enter_file(file, false, &inode);
  if (rc == 0) {
    *stamp = (sdb_os_stamp){inode->number, inode->length, inode->changed, inode->changed};
  }
  sdb_sim_leave();
  return rc;
}

int sdb_sim_stamp_set(sdb_fd file, sdb_os_stamp *stamp) {
  sdb_sim_inode *inode = NULL;
  int rc = sdb_sim_enter_file(file, true, &inode);
  if (rc == 0) {
    sdb_sim_note_change(inode);
    *stamp = (sdb_os_stamp){inode->number, inode->length, inode->changed, inode->changed};
  }
  sdb_sim_leave();
  return rc;
}
