/* SPDX-License-Identifier: MIT
**
** published.h: what members tell each other on the board: the published state, and single words.
**
** The published state stands there twice; a number, counted up, says which copy is valid.  A writer fills the other
** copy, then counts: one that dies in between has changed nothing that anybody reads.
**
** OWNS: nothing.  THREADS: loading and getters: any.  "The writer": whoever has the writer lock of the board; the first
** member before it is ready.
** INVARIANTS: no load waits for another process.  What is read is checked before it is used; noise gives an error or
** what is safe.  Generations are at most SDB_BOARD_MAX.
*/
#ifndef SDB_PUBLISHED_H
#define SDB_PUBLISHED_H

#include "base/error.h"
#include "board/lock_file.h"

/* The published state (S1): what a member needs to catch up. */
typedef struct sdb_published {
  uint64_t salt;          /* of the journal's header */
  uint64_t end;           /* offset in `journal` behind the tip record */
  uint64_t last_checksum; /* of the tip record; of the header if there is none */
  uint64_t generation;
  uint64_t data_bytes; /* the end of what is reserved in `data`: where allocation at the end starts */
  uint64_t tip_at;     /* offset of the tip record; 0: in the base; dead prepares may lie behind it */
  uint64_t sequence;   /* filled by loading and publishing, for sdb_board_is_new() */
} sdb_published;

/* Never waits.  IO if `lock` is noise, or if nothing was published yet. */
int sdb_board_load(const sdb_board *board, sdb_published *published, const sdb_op *op);
/* Is something else published than what was loaded into *mine?  One load, no system call. */
bool sdb_board_is_new(const sdb_board *board, const sdb_published *mine);
/* The writer.  Cannot fail.  Wakes who sleeps (S9), only if somebody does. */
void sdb_board_publish(sdb_board *board, sdb_published *published);
/* Sleep until a generation >= `generation` is published: SEQDB_OK; BUSY when the time is over, INTERRUPTED, IO. */
int sdb_board_wait(sdb_board *board, uint64_t generation, const sdb_board_patience *patience, const sdb_op *op);

/* ---- single words; the setters are the writer's but for poison */

/* What changed up to that generation nobody knows, and the next header has at least that number; 0: nothing of the
** kind.  It is the first member's, stored before it is ready, and stays: so nobody who dies leaves it half done. */
uint64_t sdb_board_floor(const sdb_board *board);
void sdb_board_set_floor(sdb_board *board, uint64_t floor);
uint64_t sdb_board_applied(const sdb_board *board); /* S4; of noise: 0 */
void sdb_board_set_applied(sdb_board *board, uint64_t generation);
bool sdb_board_poisoned(const sdb_board *board); /* S6; of noise: true */
void sdb_board_poison(sdb_board *board);
bool sdb_board_mark(const sdb_board *board); /* T3; of noise: true */
void sdb_board_set_mark(sdb_board *board, bool mark);
uint64_t sdb_board_unproven(const sdb_board *board); /* T2; of noise: SDB_BOARD_MAX */
void sdb_board_raise_unproven(sdb_board *board, uint64_t generation);
/* T2.  false: nothing was settled since the reset, and nothing holds back; of noise: generation 0. */
bool sdb_board_settled(const sdb_board *board, uint64_t *generation, uint8_t token[SEQDB_TOKEN_BYTES]);
void sdb_board_settle(sdb_board *board, uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES]);

#endif /* SDB_PUBLISHED_H */
