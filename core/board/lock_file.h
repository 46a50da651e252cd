/* SPDX-License-Identifier: MIT
**
** lock_file.h: the bytes of `lock`, and one member's end of it.
**
** Most numbers are 48 bits wide and stand in a word with 16 bits that check them: each depends on the word's place and
** on the board's epoch, a random number of each reset, which a member remembers.  So zeros, noise and what another
** board left are told from a number.  Numbers that belong together, or are wider, stand in a twin: two copies with a
** checksum, and a count that says which one is valid.
**
** OWNS: nothing.  THREADS: any; who may store what is said where it is stored.
** INVARIANTS: the file has SDB_BOARD_BYTES bytes while anybody maps it.  Words that different members store to stand in
** different lines of 64 bytes.
*/
#ifndef SDB_LOCK_FILE_H
#define SDB_LOCK_FILE_H

#include "os/os.h"

#define SDB_BOARD_SLOTS 960u /* members at one time */
#define SDB_BOARD_BYTES 65536u
#define SDB_BOARD_MAX   (((uint64_t)1 << 48) - 1)

#define SDB_BOARD_VERSION 2u
#define SDB_BOARD_MAGIC   (UINT64_C(0x006b636f4c716573) | (uint64_t)SDB_BOARD_VERSION << 56) /* "seqLock", version */

/* Locked bytes; slot i is SDB_BYTE_SLOT + i. */
enum sdb_lock_byte { SDB_BYTE_DOOR = 0, SDB_BYTE_MEMBER = 1, SDB_BYTE_WRITER = 2, SDB_BYTE_SLOT = 64 };

#define SDB_TWIN_WORDS 6
typedef struct sdb_twin {
  sdb_word sequence; /* its lowest bit is the valid copy's index; 0: nothing was stored yet */
  sdb_word rest[7];
  sdb_word copy[2][8]; /* SDB_TWIN_WORDS values, the checksum */
} sdb_twin;

typedef struct sdb_slot {
  sdb_word pin; /* oldest generation; 0: none */
  sdb_word since_ms;
  sdb_word pid; /* 0: nobody */
  sdb_word rest[5];
} sdb_slot;

/* The order is part of the format. */
typedef struct sdb_lock_file {
  /* Who this board is for: stored by the first member, before it is ready. */
  sdb_word magic, epoch, boot, folder, uuid[2], identity_sum;
  sdb_word ready; /* 1: the first member has published */
  /* Under the door. */
  sdb_word door_pid, slots_used; /* slots from this one on were never taken */
  sdb_word floor;                /* stored by the first member, before it is ready */
  sdb_word under_door[5];
  /* The writer's. */
  sdb_word writer_slot; /* its slot + 1 */
  sdb_word writing, applied, mark, unproven;
  sdb_word mode, poisoned; /* anybody's, once */
  sdb_word writers[1];
  /* Sleepers. */
  sdb_word sleeping, bell; /* for something new to be published */
  sdb_word waiting, gate;  /* for the writer lock */
  sdb_word sleepers[4];
  sdb_twin published, settled;
  sdb_word later[432];
  sdb_slot slots[SDB_BOARD_SLOTS];
} sdb_lock_file;

/* How long to wait: until `deadline_ms` on the clock of sdb_os_now_ms(), 0 = not at all, UINT64_MAX = for ever; or
** until `stop`, asked every 20 ms or so, says true.  `stop` may be NULL; it is called without any lock of ours. */
typedef struct sdb_board_patience {
  uint64_t deadline_ms;
  bool (*stop)(void *context);
  void *context;
} sdb_board_patience;

#define SDB_NO_SLOT UINT32_MAX

typedef struct sdb_board {
  sdb_fd dir, fd;
  sdb_lock_file *file;
  uint64_t epoch, folder;
  uint64_t pin, since_ms; /* as its slot has them */
  uint64_t floor;         /* as the first member has stored it */
  uint32_t slot;
  int role; /* enum sdb_board_role */
  bool has_door, has_writer, has_folder;
  sdb_os_parent kept;
  sdb_word nap; /* to sleep on alone */
  char path[];
} sdb_board;

/* A checked word: false, and *value is 0, if it is noise. */
bool sdb_word_get(const sdb_board *board, const sdb_word *word, uint64_t *value);
void sdb_word_set(const sdb_board *board, sdb_word *word, uint64_t value);
/* Set it to `value` if it is `old`. */
bool sdb_word_change(const sdb_board *board, sdb_word *word, uint64_t old, uint64_t value);

/* A twin.  Storing: one thread of all processes at a time.  Loading: false if it is noise or nothing was stored. */
bool sdb_twin_get(const sdb_board *board, const sdb_twin *twin, uint64_t values[SDB_TWIN_WORDS], uint64_t *sequence);
uint64_t sdb_twin_set(const sdb_board *board, sdb_twin *twin, const uint64_t values[SDB_TWIN_WORDS]);

/* Make a new board of it: alone, with door and member exclusively.  0 or errno. */
int sdb_lock_file_reset(sdb_board *board);
void sdb_lock_file_set_uuid(sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES]);
bool sdb_lock_file_has_uuid(const sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES]);
/* Take the epoch and the floor over from the file: NULL, or why this is no board of ours. */
const char *sdb_lock_file_join(sdb_board *board);
/* Who says that he has the door, read from a file that is not mapped yet; 0: nobody. */
uint64_t sdb_lock_file_door_pid(sdb_fd fd);
/* Does the file still say what it said then? */
bool sdb_lock_file_is_whole(const sdb_board *board);

#endif /* SDB_LOCK_FILE_H */
