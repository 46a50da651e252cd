/* SPDX-License-Identifier: MIT
**
** lock_file.c: checked words, twins, and what makes a file a board.
*/
#include "board/lock_file.h"

#include "pure/hash.h"

_Static_assert(sizeof(sdb_word) == 8, "the board is made of 64-bit words");
_Static_assert(offsetof(sdb_lock_file, door_pid) == 64 && offsetof(sdb_lock_file, writer_slot) == 128 &&
                   offsetof(sdb_lock_file, sleeping) == 192 && offsetof(sdb_lock_file, published) == 256 &&
                   offsetof(sdb_lock_file, settled) == 448,
               "who stores to a line of its own");
_Static_assert(offsetof(sdb_lock_file, slots) == 4096, "slots start at the second page");
_Static_assert(sizeof(sdb_lock_file) == SDB_BOARD_BYTES, "the whole file is the board");

/* ---- words */

static uint64_t place_of(const sdb_board *board, const sdb_word *word) {
  return (uint64_t)((const char *)word - (const char *)board->file);
}

/* The upper 16 bits of a product that mixes all of them. */
static uint64_t check_of(const sdb_board *board, const sdb_word *word, uint64_t value) {
  uint64_t mixed = (value ^ board->epoch) * UINT64_C(0x9e3779b97f4a7c15) + place_of(board, word);
  mixed = (mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
  return (mixed ^ mixed >> 32) * UINT64_C(0x94d049bb133111eb) >> 48;
}

static uint64_t sealed(const sdb_board *board, const sdb_word *word, uint64_t value) {
  assert(value <= SDB_BOARD_MAX);
  return value << 16 | check_of(board, word, value);
}

bool sdb_word_get(const sdb_board *board, const sdb_word *word, uint64_t *value) {
  uint64_t there = sdb_word_load(word);
  bool good = (there & 0xffff) == check_of(board, word, there >> 16);
  *value = good ? there >> 16 : 0;
  return good;
}

void sdb_word_set(const sdb_board *board, sdb_word *word, uint64_t value) {
  sdb_word_store(word, sealed(board, word, value));
}

bool sdb_word_change(const sdb_board *board, sdb_word *word, uint64_t old, uint64_t value) {
  return sdb_word_replace(word, sealed(board, word, old), sealed(board, word, value));
}

/* ---- twins */

#define LOADS_MAX 1000 /* each one that is in vain saw the count change: with this many, it is no writer who counts */

static uint64_t sum_of(const sdb_board *board, const uint64_t values[SDB_TWIN_WORDS], uint64_t sequence) {
  return sdb_hash_bytes(values, SDB_TWIN_WORDS * sizeof *values, board->epoch + sequence);
}

/* A copy is stored to only while the count names the other one: if the count stands still, so does the copy. */
bool sdb_twin_get(const sdb_board *board, const sdb_twin *twin, uint64_t values[SDB_TWIN_WORDS], uint64_t *sequence) {
  uint64_t before, sum, now = sdb_word_load(&twin->sequence);
  int loads = 0;
  do {
    before = now;
    const sdb_word *copy = twin->copy[before & 1];
    for (size_t i = 0; i < SDB_TWIN_WORDS; i++)
      values[i] = sdb_word_load(&copy[i]);
    sum = sdb_word_load(&copy[SDB_TWIN_WORDS]);
    now = sdb_word_load(&twin->sequence);
  } while (now != before && ++loads < LOADS_MAX);
  *sequence = before;
  return now == before && before != 0 && sum == sum_of(board, values, before);
}

uint64_t sdb_twin_set(const sdb_board *board, sdb_twin *twin, const uint64_t values[SDB_TWIN_WORDS]) {
  uint64_t sequence = sdb_word_load(&twin->sequence) + 1;
  sequence += sequence == 0;
  sdb_word *copy = twin->copy[sequence & 1];
  for (size_t i = 0; i < SDB_TWIN_WORDS; i++)
    sdb_word_store(&copy[i], values[i]);
  sdb_word_store(&copy[SDB_TWIN_WORDS], sum_of(board, values, sequence));
  sdb_word_store(&twin->sequence, sequence);
  return sequence;
}

/* ---- what makes a file a board */

/* Without the uuid, which may change: who does so may be killed at any word. */
static uint64_t identity_of(const sdb_lock_file *file) {
  const uint64_t parts[] = {sdb_word_load(&file->magic), sdb_word_load(&file->epoch), sdb_word_load(&file->boot),
                            sdb_word_load(&file->folder)};
  return sdb_hash_bytes(parts, sizeof parts, 0);
}

/* Alone: nobody sees the bytes that memset() stores.  `ready` and the checks of words stay wrong until they are set. */
int sdb_lock_file_reset(sdb_board *board) {
  sdb_lock_file *file = board->file;
  int os = sdb_os_random(&board->epoch, sizeof board->epoch);
  if (os) return os;
  memset(file, 0, sizeof *file);
  sdb_word_store(&file->magic, SDB_BOARD_MAGIC);
  sdb_word_store(&file->epoch, board->epoch);
  sdb_word_store(&file->boot, sdb_os_boot());
  sdb_word_store(&file->folder, board->folder);
  sdb_word_store(&file->identity_sum, identity_of(file));
  sdb_word *const zeros[] = {&file->ready,       &file->door_pid, &file->slots_used, &file->floor,
                             &file->writer_slot, &file->applied,  &file->mark,       &file->unproven,
                             &file->mode,        &file->poisoned, &file->sleeping,   &file->waiting};
  for (size_t i = 0; i < sizeof zeros / sizeof zeros[0]; i++)
    sdb_word_set(board, zeros[i], 0);
  sdb_word_set(board, &file->writing, 1);
  const uint64_t nothing[SDB_TWIN_WORDS] = {UINT64_MAX};
  (void)sdb_twin_set(board, &file->settled, nothing);
  return 0;
}

static void uuid_words(const uint8_t uuid[SEQDB_UUID_BYTES], uint64_t words[2]) {
  words[0] = sdb_get64(uuid);
  words[1] = sdb_get64(uuid + 8);
}

void sdb_lock_file_set_uuid(sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES]) {
  uint64_t words[2];
  uuid_words(uuid, words);
  for (int i = 0; i < 2; i++)
    sdb_word_store(&board->file->uuid[i], words[i]);
}

bool sdb_lock_file_has_uuid(const sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES]) {
  uint64_t words[2];
  uuid_words(uuid, words);
  return sdb_word_load(&board->file->uuid[0]) == words[0] && sdb_word_load(&board->file->uuid[1]) == words[1];
}

const char *sdb_lock_file_join(sdb_board *board) {
  const sdb_lock_file *file = board->file;
  uint64_t magic = sdb_word_load(&file->magic), boot = sdb_os_boot(), ready;
  board->epoch = sdb_word_load(&file->epoch);
  if ((magic ^ SDB_BOARD_MAGIC) << 8 == 0 && magic != SDB_BOARD_MAGIC)
    return "programs with another version of seqdb have it open: all of them must have the same";
  if (magic != SDB_BOARD_MAGIC || sdb_word_load(&file->identity_sum) != identity_of(file))
    return "somebody has overwritten the file lock while it was in use: close the database everywhere";
  if (boot && sdb_word_load(&file->boot) && sdb_word_load(&file->boot) != boot)
    return "another machine has it open; several machines cannot share one database";
  if (sdb_word_load(&file->folder) != board->folder)
    return "its file lock is in use in another directory: remove this one, which is no more than a name of that";
  if (!sdb_word_get(board, &file->ready, &ready) || ready != 1 || !sdb_word_get(board, &file->floor, &board->floor))
    return "somebody has overwritten the file lock while it was in use: close the database everywhere";
  return NULL;
}

uint64_t sdb_lock_file_door_pid(sdb_fd fd) {
  uint64_t words[16] = {0}, pid = 0;
  size_t got = 0;
  if (sdb_os_pread(fd, words, sizeof words, 0, &got) != 0 || words[0] != SDB_BOARD_MAGIC) return 0;
  sdb_board reader = {.file = (sdb_lock_file *)(void *)words, .epoch = words[1]};
  (void)sdb_word_get(&reader, &reader.file->door_pid, &pid);
  return pid;
}

bool sdb_lock_file_is_whole(const sdb_board *board) {
  const sdb_lock_file *file = board->file;
  const sdb_word *const words[] = {&file->slots_used, &file->writer_slot, &file->writing, &file->applied,
                                   &file->mark,       &file->unproven,    &file->mode,    &file->poisoned};
  uint64_t value;
  sdb_os_info info;
  if (sdb_os_info_of(board->fd, &info) != 0 || info.size_bytes < SDB_BOARD_BYTES) return false; /* before a touch */
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (!sdb_word_get(board, words[i], &value)) return false;
  }
  return sdb_word_load(&file->magic) == SDB_BOARD_MAGIC && sdb_word_load(&file->epoch) == board->epoch;
}
