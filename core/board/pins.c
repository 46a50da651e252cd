/* SPDX-License-Identifier: MIT
**
** pins.c: the slots of the board.
*/
#include "board/pins.h"

#include "board/published.h"

void sdb_board_pin(sdb_board *board, uint64_t generation, uint64_t since_ms) {
  sdb_slot *slot = &board->file->slots[board->slot];
  if (since_ms != board->since_ms) sdb_word_set(board, &slot->since_ms, since_ms & SDB_BOARD_MAX);
  board->since_ms = since_ms;
  board->pin = SDB_MAX(generation, 1); /* nothing was freed before the first generation */
  sdb_word_set(board, &slot->pin, board->pin);
}

void sdb_board_unpin(sdb_board *board) {
  board->pin = 0;
  sdb_word_set(board, &board->file->slots[board->slot].pin, 0);
}

uint64_t sdb_board_pinned(const sdb_board *board) {
  return board->pin;
}

static uint32_t slots_used(const sdb_board *board) {
  uint64_t used;
  if (!sdb_word_get(board, &board->file->slots_used, &used)) return SDB_BOARD_SLOTS;
  return (uint32_t)SDB_MIN(used, (uint64_t)SDB_BOARD_SLOTS);
}

/* Its owner is dead, or nobody ever had it, if its lock can be had: nobody can take the slot meanwhile. */
static bool clear_dead(sdb_board *board, uint32_t i) {
  sdb_slot *slot = &board->file->slots[i];
  if (sdb_os_lock_byte(board->fd, SDB_BYTE_SLOT + i, true) != 0) return false;
  sdb_word_set(board, &slot->pin, 0);
  sdb_word_set(board, &slot->pid, 0);
  (void)sdb_os_unlock_byte(board->fd, SDB_BYTE_SLOT + i);
  return true;
}

static uint64_t settled_limit(const sdb_board *board) {
  uint8_t token[SEQDB_TOKEN_BYTES];
  uint64_t generation;
  return sdb_board_settled(board, &generation, token) ? generation : UINT64_MAX;
}

uint64_t sdb_board_oldest(sdb_board *board) {
  sdb_published published;
  if (sdb_board_load(board, &published, &sdb_unheard) != SEQDB_OK) return 0;
  uint64_t oldest = SDB_MIN(published.generation, settled_limit(board));
  for (uint32_t i = 0, used = slots_used(board); i < used; i++) {
    uint64_t pin;
    if (i == board->slot) continue;
    bool good = sdb_word_get(board, &board->file->slots[i].pin, &pin);
    if (good && (pin == 0 || pin >= oldest)) continue;
    if (!clear_dead(board, i)) oldest = pin;
  }
  return oldest;
}

void sdb_board_each_pin(sdb_board *board, bool (*visit)(void *context, const sdb_board_pin_info *pin), void *context) {
  for (uint32_t i = 0, used = slots_used(board); i < used; i++) {
    const sdb_slot *slot = &board->file->slots[i];
    sdb_board_pin_info info = {.own = i == board->slot};
    bool locked = true;
    if (!sdb_word_get(board, &slot->pin, &info.generation) || info.generation == 0) continue;
    if (!info.own && (sdb_os_byte_is_locked(board->fd, SDB_BYTE_SLOT + i, &locked) != 0 || !locked)) continue;
    (void)sdb_word_get(board, &slot->pid, &info.pid);
    (void)sdb_word_get(board, &slot->since_ms, &info.since_ms);
    if (visit(context, &info)) return;
  }
}
