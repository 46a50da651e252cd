/* SPDX-License-Identifier: MIT
**
** room.h: what a commit will need later is allocated before it is acknowledged (R12).
**
**     needed by              what                                  allocated
**     a checkpoint           pages of created entries              sdb_room_for_entries()
**                            pages under ranges in holes           sdb_data_allocate(), by the commit
**                            the other header                      sdb_journal_allocate_headers(), and at creation
**     a prepare's rollback   room for an empty record behind it    sdb_room_for_drop()
**     giving space back      room for such records, at any time    sdb_room_for_giving()
**
** Every record but those that only give back leaves the last behind it; so does a clean close.  A file system that
** writes nothing in place (btrfs, ZFS, APFS) promises no room whatever is asked of it.
** OWNS: nothing.  THREADS: the writer's.
*/
#ifndef SDB_ROOM_H
#define SDB_ROOM_H

#include "txn/delta.h"
#include "txn/store.h"

/* Does the delta create an entry? */
bool sdb_room_is_needed(const sdb_store *store, const sdb_delta *delta);
/* Blocks for the pages of all entries that it creates.  Errors: IO, FULL. */
int sdb_room_for_entries(sdb_store *store, const sdb_delta *delta, const sdb_op *op);
/* Bytes of the journal behind a record of that kind. */
uint64_t sdb_room_for_drop(uint16_t kind);
/* Bytes of the journal for removing all regions in one commit, or some in many. */
uint64_t sdb_room_for_giving(const sdb_store *store);

#endif /* SDB_ROOM_H */
