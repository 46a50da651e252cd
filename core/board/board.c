/* SPDX-License-Identifier: MIT
**
** board.c: opening, closing and the writer lock, between processes.
**
** Opening: open `lock`, take the door, see that `lock` is still the file of that name, and try to get `member`
** exclusively: who gets it is alone, the first, and resets the board.  Closing: take the door and try the same: who
** gets it is the last.
*/
#include "board/board.h"

#include <errno.h>
#include <stdio.h>

#define NAME          "lock"
#define REOPENS_MAX   100 /* somebody removes `lock` again and again */
#define REST_MS       20  /* the longest rest; a holder who was killed wakes nobody */
#define QUICK_LOOKS   10  /* of 1 ms each, before looks get rare */
#define DYING_MS      200 /* the system takes a dead process' locks back one after the other */
#define FOLDER_OF_ALL "close it there; or somebody removed the file lock while others had it open"

/* ---- messages */

/* "process 17", or "another process". */
typedef struct process_name {
  char text[40];
} process_name;

static process_name name_of(uint64_t pid) {
  process_name name = {"another process"};
  if (pid) snprintf(name.text, sizeof name.text, "process %llu", (unsigned long long)pid);
  return name;
}

static int failed(const sdb_board *board, int os, const char *what, const sdb_op *op) {
  return sdb_error_os(op, os, NAME, 0, "%s/lock: %s", board->path, what);
}

static int refused(const sdb_board *board, int code, const char *why, const sdb_op *op) {
  return sdb_error_set(op, code, NAME, 0, "%s: %s", board->path, why);
}

/* Where no lock of seqdb's can be in the way. */
static int not_locked(const sdb_board *board, int os, const sdb_op *op) {
  if (os != EWOULDBLOCK) return failed(board, os, "cannot lock", op);
  return sdb_error_set(op, SEQDB_BUSY, NAME, 0,
                       "database is locked: a program that is not seqdb has a lock on %s/lock: close it there",
                       board->path);
}

static int overwritten(const sdb_board *board, const sdb_op *op) {
  return refused(board, SEQDB_IO,
                 "somebody has overwritten or cut the file lock while it was in use: close the database everywhere",
                 op);
}

/* ---- the door */

static int take_door(sdb_board *board, const sdb_board_patience *patience, const sdb_op *op) {
  for (int looks = 0;; looks++) {
    int os = sdb_os_lock_byte(board->fd, SDB_BYTE_DOOR, true);
    if (!os) break;
    if (os != EWOULDBLOCK) return failed(board, os, "cannot lock", op);
    if (patience->stop && patience->stop(patience->context))
      return sdb_error_set(op, SEQDB_INTERRUPTED, NULL, 0, "%s: interrupted", op->operation);
    if (sdb_os_now_ms() >= patience->deadline_ms) {
      process_name who = name_of(sdb_lock_file_door_pid(board->fd));
      return sdb_error_set(op, SEQDB_BUSY, NAME, 0, "database is locked: %s is opening or closing %s", who.text,
                           board->path);
    }
    sdb_os_word_wait(&board->nap, 0, looks < QUICK_LOOKS ? 1 : REST_MS);
  }
  board->has_door = true;
  return SEQDB_OK;
}

static void give_door_back(sdb_board *board) {
  if (board->file) sdb_word_set(board, &board->file->door_pid, 0);
  (void)sdb_os_unlock_byte(board->fd, SDB_BYTE_DOOR);
  board->has_door = false;
}

/* ---- the file */

/* A limit on descriptors, a broken disk: to whoever opens, the database cannot be opened. */
static int cannot_open(const sdb_board *board, int os, const char *what, const sdb_op *op) {
  int rc = failed(board, os, what, op);
  if (rc == SEQDB_IO) op->error->code = SEQDB_CANTOPEN;
  return rc == SEQDB_IO ? SEQDB_CANTOPEN : rc;
}

static int open_error(const sdb_board *board, int os, const sdb_op *op) {
  switch (os) {
    case ENOENT:
      return refused(board, SEQDB_CANTOPEN, "the file lock is missing", op);
    case ELOOP:
    case EINVAL:
      return refused(board, SEQDB_CANTOPEN, "its file lock is a symbolic link or no regular file: remove that", op);
    case EACCES:
    case EPERM:
    case EROFS:
      return sdb_error_os(op, os, NAME, 0,
                          "%s/lock cannot be written; immutable=1 reads without it where nobody writes", board->path);
    default:
      return cannot_open(board, os, "cannot open", op);
  }
}

/* Still the file of that name?  Its second descriptor takes no lock away when it is closed: locks belong to an open. */
static int is_in_place(const sdb_board *board, bool *in_place) {
  sdb_os_info ours, named;
  sdb_fd again = -1;
  *in_place = false;
  int os = sdb_os_info_of(board->fd, &ours);
  if (os || (os = sdb_os_open(board->dir, NAME, 0, &again)) != 0) return os == ENOENT || os == EACCES ? 0 : os;
  os = sdb_os_info_of(again, &named);
  sdb_os_close(again);
  *in_place = !os && ours.inode == named.inode && ours.device == named.device;
  return os;
}

static int make_file(sdb_board *board, const sdb_os_access *access) {
  unsigned own = access->mode ? SDB_OPEN_OWN : 0;
  int os = sdb_os_open(board->dir, NAME, SDB_OPEN_WRITE | SDB_OPEN_CREATE | own, &board->fd);
  if (!os && own) sdb_os_set_access(board->fd, access);
  return os;
}

/* Open `lock` and take the door of the file that has this name. */
static int enter(sdb_board *board, const sdb_os_access *create, const sdb_board_patience *patience, const sdb_op *op) {
  for (int i = 0; i < REOPENS_MAX; i++) {
    sdb_os_info info;
    bool in_place = false;
    int rc, os = sdb_os_open(board->dir, NAME, SDB_OPEN_WRITE, &board->fd);
    if (os == ENOENT && create) os = make_file(board, create);
    if (os) {
      board->fd = -1;
      return open_error(board, os, op);
    }
    if ((rc = take_door(board, patience, op)) != SEQDB_OK) return rc;
    if ((os = sdb_os_info_of(board->fd, &info)) != 0) return failed(board, os, "cannot look at it", op);
    if (info.links > 1)
      return refused(board, SEQDB_READONLY,
                     "its file lock has another name (a hard link), perhaps in another database; immutable=1 reads "
                     "without it where nobody writes",
                     op);
    if ((os = is_in_place(board, &in_place)) != 0) return cannot_open(board, os, "cannot open again", op);
    if (in_place) return SEQDB_OK;
    give_door_back(board);
    sdb_os_close(board->fd);
    board->fd = -1;
  }
  return refused(board, SEQDB_IO, "somebody removes the file lock again and again", op);
}

/* A full xfs has no room for allocating what is allocated: who was here before took all blocks. */
static bool has_blocks(const sdb_board *board) {
  sdb_os_info info;
  return sdb_os_info_of(board->fd, &info) == 0 && info.disk_bytes >= SDB_BOARD_BYTES;
}

/* What the mapping is going to need, or a full disk would be SIGBUS. */
static int take_blocks(const sdb_board *board) {
  static const uint8_t zeros[SEQDB_PAGE_BYTES];
  int os = sdb_os_allocate(board->fd, 0, SDB_BOARD_BYTES);
  if (os == ENOSPC && has_blocks(board)) return 0;
  if (os != EOPNOTSUPP) return os;
  os = 0;
  for (uint64_t at = 0; at < SDB_BOARD_BYTES && !os; at += sizeof zeros)
    os = sdb_os_pwrite(board->fd, zeros, sizeof zeros, at);
  return os;
}

static int map(sdb_board *board, const sdb_op *op) {
  void *address = NULL;
  int os = sdb_os_share(board->fd, SDB_BOARD_BYTES, &address);
  if (os) return failed(board, os, "cannot map", op);
  board->file = address;
  board->kept.shared = address;
  board->kept.shared_bytes = SDB_BOARD_BYTES;
  return SEQDB_OK;
}

/* A file of another size that does not begin as ours do is somebody else's. */
static int make_room(sdb_board *board, const sdb_op *op) {
  uint64_t magic = 0;
  size_t got;
  sdb_os_info info;
  int os = sdb_os_info_of(board->fd, &info);
  if (os) return failed(board, os, "cannot look at it", op);
  if (info.size_bytes != 0 && info.size_bytes != SDB_BOARD_BYTES) {
    if ((os = sdb_os_pread(board->fd, &magic, sizeof magic, 0, &got)) != 0) return failed(board, os, "cannot read", op);
    if ((magic ^ SDB_BOARD_MAGIC) << 8)
      return refused(board, SEQDB_CANTOPEN, "its file lock is none of seqdb's: move it away", op);
  }
  if (info.size_bytes != SDB_BOARD_BYTES && (os = sdb_os_truncate(board->fd, SDB_BOARD_BYTES)) != 0)
    return failed(board, os, "cannot set its size", op);
  if ((os = take_blocks(board)) != 0) return failed(board, os, "cannot allocate its blocks", op);
  return SEQDB_OK;
}

/* ---- opening */

/* Its door is free, but a member that died a moment ago may have the folder still. */
static int lock_folder(sdb_board *board, bool exclusive, const sdb_op *op) {
  uint64_t until = sdb_os_now_ms() + DYING_MS;
  int os = sdb_os_lock(board->dir, exclusive);
  while (os == EWOULDBLOCK && sdb_os_now_ms() < until) {
    sdb_os_word_wait(&board->nap, 0, 1);
    os = sdb_os_lock(board->dir, exclusive);
  }
  board->has_folder |= !os;
  if (!os) return SEQDB_OK;
  if (os != EWOULDBLOCK) return sdb_error_os(op, os, NULL, 0, "%s: cannot lock", board->path);
  return sdb_error_set(op, SEQDB_LOCKED, NULL, 0,
                       "database is locked: %s is open in another process, with locking=exclusive or by another "
                       "version of seqdb: " FOLDER_OF_ALL,
                       board->path);
}

static int claim_slot(sdb_board *board, const sdb_op *op) {
  uint64_t used;
  for (uint32_t i = 0; i < SDB_BOARD_SLOTS; i++) {
    int os = sdb_os_lock_byte(board->fd, SDB_BYTE_SLOT + i, true);
    if (os == EWOULDBLOCK) continue;
    if (os) return failed(board, os, "cannot lock", op);
    sdb_slot *slot = &board->file->slots[i];
    board->slot = i;
    sdb_word_set(board, &slot->pin, 0);
    sdb_word_set(board, &slot->since_ms, 0);
    sdb_word_set(board, &slot->pid, sdb_os_pid() & SDB_BOARD_MAX);
    if (!sdb_word_get(board, &board->file->slots_used, &used)) used = SDB_BOARD_SLOTS;
    if (i >= used) sdb_word_set(board, &board->file->slots_used, i + 1);
    return SEQDB_OK;
  }
  return sdb_error_set(op, SEQDB_LOCKED, NAME, 0,
                       "database is locked: all %u places of %s/lock are taken: close it in some of the programs",
                       SDB_BOARD_SLOTS, board->path);
}

static int be_first(sdb_board *board, const sdb_op *op) {
  int os, rc = lock_folder(board, true, op);
  if (rc == SEQDB_OK) rc = make_room(board, op);
  if (rc == SEQDB_OK) rc = map(board, op);
  if (rc != SEQDB_OK) return rc;
  if ((os = sdb_lock_file_reset(board)) != 0) return failed(board, os, "no random number", op);
  sdb_word_set(board, &board->file->door_pid, sdb_os_pid() & SDB_BOARD_MAX);
  return claim_slot(board, op);
}

static int join(sdb_board *board, const sdb_op *op) {
  sdb_published published;
  sdb_os_info info;
  int rc, os = sdb_os_info_of(board->fd, &info);
  if (os) return failed(board, os, "cannot look at it", op);
  if (info.size_bytes < SDB_BOARD_BYTES) return overwritten(board, op);
  if ((rc = map(board, op)) != SEQDB_OK) return rc;
  const char *why = sdb_lock_file_join(board);
  if (why) return sdb_error_set(op, SEQDB_LOCKED, NAME, 0, "database is locked: %s: %s", board->path, why);
  sdb_word_set(board, &board->file->door_pid, sdb_os_pid() & SDB_BOARD_MAX);
  if ((rc = lock_folder(board, false, op)) != SEQDB_OK) return rc;
  if ((rc = claim_slot(board, op)) != SEQDB_OK) return rc;
  if ((rc = sdb_board_load(board, &published, op)) != SEQDB_OK) return rc;
  sdb_board_pin(board, published.generation, sdb_os_now_ms());
  give_door_back(board);
  return SEQDB_OK;
}

/* `member`, exclusively if nobody has it.  Who has it while the file is no board died a moment ago, as it was made. */
static int take_role(sdb_board *board, const sdb_op *op) {
  uint64_t until = sdb_os_now_ms() + DYING_MS;
  for (;; sdb_os_word_wait(&board->nap, 0, 1)) {
    sdb_os_info info;
    int os = sdb_os_lock_byte(board->fd, SDB_BYTE_MEMBER, true);
    if (!os) {
      board->role = SDB_BOARD_FIRST;
      return be_first(board, op);
    }
    if (os == EWOULDBLOCK) os = sdb_os_lock_byte(board->fd, SDB_BYTE_MEMBER, false);
    if (os) return not_locked(board, os, op);
    if ((os = sdb_os_info_of(board->fd, &info)) != 0) return failed(board, os, "cannot look at it", op);
    if (info.size_bytes >= SDB_BOARD_BYTES || sdb_os_now_ms() >= until) break;
    (void)sdb_os_unlock_byte(board->fd, SDB_BYTE_MEMBER);
  }
  board->role = SDB_BOARD_JOINS;
  return join(board, op);
}

int sdb_board_open(sdb_board **out, sdb_fd dir, const char *path, const sdb_os_access *create,
                   const sdb_board_patience *patience, const sdb_op *op) {
  sdb_os_info info;
  size_t path_bytes = strlen(path) + 1;
  sdb_board *board = sdb_calloc(1, sizeof *board + path_bytes);
  if (!board) return sdb_error_nomem(op);
  memcpy(board->path, path, path_bytes);
  board->dir = dir;
  board->fd = -1;
  board->kept.files[0] = &board->fd;
  sdb_os_parent_only(&board->kept);
  int rc, os = sdb_os_dir_info(dir, &info);
  board->folder = info.inode;
  if (os)
    rc = sdb_error_os(op, os, NULL, 0, "%s: cannot look at it", path);
  else
    rc = enter(board, create, patience, op);
  if (rc == SEQDB_OK) rc = take_role(board, op);
  if (rc != SEQDB_OK) {
    sdb_board_leave(board);
    return rc;
  }
  *out = board;
  return SEQDB_OK;
}

enum sdb_board_role sdb_board_role_of(const sdb_board *board) {
  return (enum sdb_board_role)board->role;
}

int sdb_board_ready(sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES], sdb_published *published, bool durable,
                    const sdb_op *op) {
  assert(board->role == SDB_BOARD_FIRST && board->has_door);
  sdb_lock_file_set_uuid(board, uuid);
  sdb_board_publish(board, published);
  sdb_word_set(board, &board->file->writing, !durable);
  sdb_word_set(board, &board->file->ready, 1);
  int rc, os = sdb_os_lock_byte(board->fd, SDB_BYTE_MEMBER, false);
  if (os) return not_locked(board, os, op);
  if ((rc = lock_folder(board, false, op)) != SEQDB_OK) return rc; /* a shared flock is not got in place */
  give_door_back(board);
  return SEQDB_OK;
}

void sdb_board_set_uuid(sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES]) {
  if (!sdb_lock_file_has_uuid(board, uuid)) sdb_lock_file_set_uuid(board, uuid);
}

int sdb_board_same(const sdb_board *board, const uint8_t uuid[SEQDB_UUID_BYTES], const sdb_op *op) {
  uint64_t writing = 0;
  bool known = sdb_word_get(board, &board->file->writing, &writing);
  if ((known && writing != 0) || sdb_lock_file_has_uuid(board, uuid)) return SEQDB_OK;
  return refused(board, SEQDB_CANTOPEN, "its file lock belongs to another database: remove this one", op);
}

int sdb_board_agree(sdb_board *board, unsigned mode, unsigned *decided, const sdb_op *op) {
  sdb_word *word = &board->file->mode;
  uint64_t there;
  assert(mode > 0 && mode < 256);
  (void)sdb_word_change(board, word, 0, mode);
  if (!sdb_word_get(board, word, &there)) return overwritten(board, op);
  *decided = (unsigned)there;
  if (there == mode) return SEQDB_OK;
  return sdb_error_set(op, SEQDB_LOCKED, NAME, 0,
                       "database is locked: another process writes to %s with other settings of sync and atomic",
                       board->path);
}

/* ---- closing */

enum sdb_board_end sdb_board_closing(sdb_board *board, const sdb_board_patience *patience) {
  if (board->has_door || !sdb_lock_file_is_whole(board)) return SDB_BOARD_GIVEN_UP;
  sdb_board_unpin(board);
  if (take_door(board, patience, &sdb_unheard) != SEQDB_OK) return SDB_BOARD_GIVEN_UP;
  sdb_word_set(board, &board->file->door_pid, sdb_os_pid() & SDB_BOARD_MAX);
  int os = sdb_os_lock_byte(board->fd, SDB_BYTE_MEMBER, true);
  if (os) return os == EWOULDBLOCK ? SDB_BOARD_NOT_LAST : SDB_BOARD_GIVEN_UP;
  return SDB_BOARD_LAST;
}

/* Unlocked by hand: a copy of the descriptor that a clone() made would keep the locks.  All at once: nobody is first
** while we are still a member.  The mapping is not touched: it may be what is broken. */
void sdb_board_leave(sdb_board *board) {
  if (!board) return;
  sdb_os_parent_forget(&board->kept);
  if (board->fd >= 0) { /* else a child of fork(), or nothing was opened */
    (void)sdb_os_unlock_all_bytes(board->fd);
    if (board->has_folder) (void)sdb_os_unlock(board->dir);
    sdb_os_close(board->fd);
  }
  sdb_os_unshare(board->file, SDB_BOARD_BYTES);
  sdb_free(board);
}

/* ---- the writer lock */

static int writer_is_busy(const sdb_board *board, const sdb_op *op) {
  uint64_t slot = 0, pid = 0;
  (void)sdb_word_get(board, &board->file->writer_slot, &slot);
  if (slot > 0 && slot <= SDB_BOARD_SLOTS) (void)sdb_word_get(board, &board->file->slots[slot - 1].pid, &pid);
  process_name who = name_of(pid);
  return sdb_error_set(op, SEQDB_BUSY, NULL, 0, "database is locked: %s is writing to %s", who.text, board->path);
}

int sdb_board_writer_try(sdb_board *board, bool *mend, const sdb_op *op) {
  sdb_lock_file *file = board->file;
  sdb_published published;
  uint64_t writing;
  int os = sdb_os_lock_byte(board->fd, SDB_BYTE_WRITER, true);
  if (os == EWOULDBLOCK) return writer_is_busy(board, op);
  if (os) return failed(board, os, "cannot lock", op);
  bool whole = sdb_lock_file_is_whole(board) && sdb_word_get(board, &file->writing, &writing);
  int rc = whole ? SEQDB_OK : overwritten(board, op);
  if (whole && !board->has_door) rc = sdb_board_load(board, &published, op);
  if (rc != SEQDB_OK) {
    (void)sdb_os_unlock_byte(board->fd, SDB_BYTE_WRITER);
    return rc;
  }
  *mend = writing != 0;
  board->has_writer = true;
  sdb_word_set(board, &file->writing, 1);
  sdb_word_set(board, &file->writer_slot, board->slot + 1);
  return SEQDB_OK;
}

/* Who rests says so and then looks once more: either he sees that the lock is free, or its holder sees him. */
void sdb_board_writer_rest(sdb_board *board, uint64_t deadline_ms) {
  sdb_lock_file *file = board->file;
  uint64_t gate = sdb_word_load(&file->gate), now = sdb_os_now_ms();
  bool locked = true;
  sdb_word_store(&file->waiting, 1);
  if (now >= deadline_ms) return;
  if (sdb_os_byte_is_locked(board->fd, SDB_BYTE_WRITER, &locked) == 0 && locked)
    sdb_os_word_wait(&file->gate, gate, SDB_MIN(deadline_ms - now, (uint64_t)REST_MS));
}

bool sdb_board_writer_release(sdb_board *board, bool clean) {
  sdb_lock_file *file = board->file;
  sdb_word_set(board, &file->writer_slot, 0);
  if (clean) sdb_word_set(board, &file->writing, 0);
  board->has_writer = false;
  (void)sdb_os_unlock_byte(board->fd, SDB_BYTE_WRITER);
  if (sdb_word_load(&file->waiting) == 0) return false;
  sdb_word_store(&file->waiting, 0);
  sdb_word_store(&file->gate, sdb_word_load(&file->gate) + 1);
  sdb_os_word_wake(&file->gate);
  return true;
}

/* ---- without being a member */

int sdb_board_is_live(sdb_fd dir, const char *path, bool *live, const sdb_op *op) {
  sdb_fd fd = -1;
  int os = sdb_os_open(dir, NAME, 0, &fd);
  *live = false;
  if (os == ENOENT) return SEQDB_OK;
  if (os == ELOOP || os == EINVAL)
    return sdb_error_set(op, SEQDB_CANTOPEN, NAME, 0, "%s/lock is a symbolic link or no regular file", path);
  if (!os) os = sdb_os_byte_is_locked(fd, SDB_BYTE_MEMBER, live);
  sdb_os_close(fd);
  return os ? sdb_error_os(op, os, NAME, 0, "%s/lock: cannot see whether the database is open", path) : SEQDB_OK;
}
