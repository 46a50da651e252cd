/* SPDX-License-Identifier: MIT
**
** published.c: the published state and single words of the board, and waiting for something new.
*/
#include "board/published.h"

#define ASK_MS  20   /* between two questions whether to stop */
#define LOOK_MS 1000 /* a publisher may die before it wakes anybody */

/* ---- the published state */

static int noise(const sdb_board *board, const sdb_op *op) {
  return sdb_error_set(op, SEQDB_IO, "lock", 0,
                       "%s/lock: somebody has overwritten it while it was in use: close the database everywhere",
                       board->path);
}

int sdb_board_load(const sdb_board *board, sdb_published *published, const sdb_op *op) {
  uint64_t values[SDB_TWIN_WORDS], sequence;
  if (!sdb_twin_get(board, &board->file->published, values, &sequence) || values[3] > SDB_BOARD_MAX)
    return noise(board, op);
  *published = (sdb_published){.salt = values[0],
                               .end = values[1],
                               .last_checksum = values[2],
                               .generation = values[3],
                               .data_bytes = values[4],
                               .tip_at = values[5],
                               .sequence = sequence};
  return SEQDB_OK;
}

bool sdb_board_is_new(const sdb_board *board, const sdb_published *mine) {
  return sdb_word_load(&board->file->published.sequence) != mine->sequence;
}

/* Who goes to sleep says so and then looks once more: either he sees what was published, or we see him. */
void sdb_board_publish(sdb_board *board, sdb_published *published) {
  const uint64_t values[SDB_TWIN_WORDS] = {published->salt,       published->end,        published->last_checksum,
                                           published->generation, published->data_bytes, published->tip_at};
  sdb_lock_file *file = board->file;
  assert(published->generation <= SDB_BOARD_MAX);
  published->sequence = sdb_twin_set(board, &file->published, values);
  if (sdb_word_load(&file->sleeping) == 0) return;
  sdb_word_store(&file->sleeping, 0);
  sdb_word_store(&file->bell, sdb_word_load(&file->bell) + 1);
  sdb_os_word_wake(&file->bell);
}

int sdb_board_wait(sdb_board *board, uint64_t generation, const sdb_board_patience *patience, const sdb_op *op) {
  sdb_lock_file *file = board->file;
  sdb_published now = {0};
  for (;;) {
    uint64_t bell = sdb_word_load(&file->bell), ms = sdb_os_now_ms();
    sdb_word_store(&file->sleeping, 1);
    int rc = sdb_board_load(board, &now, op);
    if (rc != SEQDB_OK || now.generation >= generation) return rc;
    if (patience->stop && patience->stop(patience->context))
      return sdb_error_set(op, SEQDB_INTERRUPTED, NULL, 0, "%s: interrupted", op->operation);
    if (ms >= patience->deadline_ms)
      return sdb_error_set(op, SEQDB_BUSY, NULL, 0, "generation %llu was not published in time",
                           (unsigned long long)generation);
    sdb_os_word_wait(&file->bell, bell, SDB_MIN(patience->deadline_ms - ms, patience->stop ? ASK_MS : LOOK_MS));
  }
}

/* ---- single words */

uint64_t sdb_board_floor(const sdb_board *board) {
  return board->floor;
}

void sdb_board_set_floor(sdb_board *board, uint64_t floor) {
  assert(board->has_door);
  board->floor = floor;
  sdb_word_set(board, &board->file->floor, floor);
}

uint64_t sdb_board_applied(const sdb_board *board) {
  uint64_t value;
  (void)sdb_word_get(board, &board->file->applied, &value);
  return value;
}

void sdb_board_set_applied(sdb_board *board, uint64_t generation) {
  sdb_word_set(board, &board->file->applied, generation);
}

static bool is_set(const sdb_board *board, const sdb_word *word) {
  uint64_t value;
  return !sdb_word_get(board, word, &value) || value != 0;
}

bool sdb_board_poisoned(const sdb_board *board) {
  return is_set(board, &board->file->poisoned);
}

void sdb_board_poison(sdb_board *board) {
  sdb_word_set(board, &board->file->poisoned, 1);
}

bool sdb_board_mark(const sdb_board *board) {
  return is_set(board, &board->file->mark);
}

void sdb_board_set_mark(sdb_board *board, bool mark) {
  sdb_word_set(board, &board->file->mark, mark);
}

uint64_t sdb_board_unproven(const sdb_board *board) {
  uint64_t value;
  return sdb_word_get(board, &board->file->unproven, &value) ? value : SDB_BOARD_MAX;
}

void sdb_board_raise_unproven(sdb_board *board, uint64_t generation) {
  sdb_word_set(board, &board->file->unproven, SDB_MAX(generation, sdb_board_unproven(board)));
}

bool sdb_board_settled(const sdb_board *board, uint64_t *generation, uint8_t token[SEQDB_TOKEN_BYTES]) {
  uint64_t values[SDB_TWIN_WORDS] = {0}, sequence;
  bool good = sdb_twin_get(board, &board->file->settled, values, &sequence);
  *generation = good ? values[0] : 0;
  sdb_put64(token, good ? values[1] : 0);
  sdb_put64(token + 8, good ? values[2] : 0);
  return !good || values[0] != UINT64_MAX;
}

void sdb_board_settle(sdb_board *board, uint64_t generation, const uint8_t token[SEQDB_TOKEN_BYTES]) {
  assert(generation <= SDB_BOARD_MAX);
  const uint64_t values[SDB_TWIN_WORDS] = {generation, sdb_get64(token), sdb_get64(token + 8)};
  (void)sdb_twin_set(board, &board->file->settled, values);
}
