/* SPDX-License-Identifier: MIT
**
** pins.h: which generation each member pins, and the oldest one that anybody needs (S2, S4).
**
**     a reader:  store own generation in own slot   ->  load the published state, catch up, raise the slot to it
**     a writer:  load the published generation      ->  load all slots
**
** Whichever comes first, the reader's generation is at least what the writer takes for the oldest.
**
** OWNS: nothing.  THREADS: the pin of a member: callers hold a lock of theirs, one thread at a time.
** INVARIANT: a slot is cleared by its owner, or by a writer who has its lock: its owner is dead then.
*/
#ifndef SDB_PINS_H
#define SDB_PINS_H

#include "base/error.h"
#include "board/lock_file.h"

/* This member's slot pins `generation`, since `since_ms` on the clock of sdb_os_now_ms().  0 stands there as 1: who has
** nothing yet is protected while he catches up, too. */
void sdb_board_pin(sdb_board *board, uint64_t generation, uint64_t since_ms);
void sdb_board_unpin(sdb_board *board);
uint64_t sdb_board_pinned(const sdb_board *board); /* 0: nothing */

/* The writer: the least of the published generation, read first, of all other members' pins, and of the settled
** generation.  What this member's own snapshots need it knows better than its slot says.  Clears slots of the dead that
** hold back.  Noise counts as 0. */
uint64_t sdb_board_oldest(sdb_board *board);

/* Each pin of a living member, this one's too, until `visit` says true. */
typedef struct sdb_board_pin_info {
  uint64_t pid, generation, since_ms;
  bool own;
} sdb_board_pin_info;
void sdb_board_each_pin(sdb_board *board, bool (*visit)(void *context, const sdb_board_pin_info *pin), void *context);

#endif /* SDB_PINS_H */
