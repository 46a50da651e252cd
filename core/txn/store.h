/* SPDX-License-Identifier: MIT
**
** store.h: what all handles of one directory share: its files, the space in `data`, the newest commit, and who may
** write.  Layer 4, the bottom of txn/.
**
** LOCKS, in the order in which they may be taken:
**   handle.txn_mutex > a tail's lock > follow_mutex > files_mutex > the overlay's > mutex > the names'.
** The WRITER LOCK is no mutex but a state: `writer` is the one handle that may change anything; others wait for it on
** `writer_free`.  Fields marked [w] belong to whoever holds it, and has the board's (member.h); while nobody does, to
** whoever follows another member with follow_mutex held.
** The functions below that begin with sdb_store_ take `mutex` themselves: nothing else is needed around them.
*/
#ifndef SDB_STORE_H
#define SDB_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include "board/board.h"
#include "files/catalog_file.h"
#include "files/damage.h"
#include "files/data_file.h"
#include "files/journal.h"
#include "files/regions_file.h"
#include "space/overlay.h"
#include "space/space.h"

struct seqdb;          /* handle.h */
struct seqdb_snapshot; /* handle.h */

/* More commits than a session without syncs can lose: see changes_floor. */
#define SDB_SKIP_LOST (UINT64_C(1) << 24)

/* What the file `catalog` is known to say; [w]. */
typedef struct sdb_catalog_copy {
  bool known;
  sdb_catalog_head head;
  uint32_t *changed; /* entries that checkpoints have written since: sorted, unique */
  size_t changed_count, changed_capacity;
} sdb_catalog_copy;

typedef struct sdb_store {
  /* fixed once it is open; but the first handle that writes makes a store of readers writable, alone with it */
  struct sdb_listed *listed; /* its place in the registry: store/registry.h */
  uint64_t device, inode, fork_count;
  char *path;      /* as it was given, for messages */
  char *real_path; /* absolute, without links; NULL: not known, so nobody notices that the directory is moved */
  bool sync_off, no_mmap, immutable, not_atomic;
  bool files_writable;     /* descriptors can write */
  seqdb_error only_read;   /* why handles that were to write only read; code 0: there are none */
  bool writing;            /* a handle that may write has joined */
  bool names_synced;       /* of the files and the directory, by us */
  bool blind;              /* ... because an SQLite file could not be asked */
  bool left_undecided;     /* ... and nobody here has decided */
  bool apart;              /* recovery has found what who joins would not, until it is durable */
  bool undecided, differs; /* recovery decided about a coordinator's prepare; entries differ from the header's hash */
  sdb_os_parent kept;      /* its descriptors, from children of fork() */
  sdb_fd dir;
  sdb_data_file data;
  sdb_regions_file regions; /* [w] */
  sdb_journal journal;      /* [w] */
  sdb_names *names;
  uint8_t uuid[16];
  /* What changed up to that generation nobody knows, whatever `changes` says; `files_mutex`.  No header has a smaller
  ** one: after recovery it lies beyond all that may be lost, or others have changed.  All members know it. */
  uint64_t changes_floor;

  /* health */
  _Atomic bool poisoned;  /* an fdatasync failed (R7): nothing is written any more */
  sdb_damage damage;      /* found at open; not empty: read-only */
  _Atomic bool recovered; /* the state at open is durable in `regions` and `data`; else a checkpoint is owed first */
  bool unclean;           /* [w] holes may hold garbage of a crashed session: the first checkpoint punches them all */

  /* other processes: member.h */
  sdb_board *board;             /* NULL: nobody else has the database open, or nobody changes it */
  bool still;                   /* nothing is ever published: nobody can write it, or nobody is to */
  bool shared;                  /* a member like others: not the first one while it recovers, nor the last one */
  pthread_mutex_t follow_mutex; /* held while the store follows another member */
  _Atomic bool leads;           /* the writer lock of all members is ours, and the store has caught up */
  sdb_published mine;           /* the published state that the last commit here is; `mutex` */
  _Atomic uint64_t sequence;    /* mine.sequence, for a look without `mutex` */
  bool stale;                   /* [w] another member has written since sizes of files were asked */
  uint64_t told_data_bytes, told_entry_bytes; /* [w] sizes of files that others know of ... */
  sdb_os_stamp told_stamp;                    /* [w] ... and how `regions` was then */

  pthread_mutex_t files_mutex; /* held while `regions` or `journal` is written, so that check can read them whole */

  pthread_mutex_t mutex; /* guards these */
  pthread_cond_t writer_free;
  pthread_cond_t news; /* there is a new last commit */
  struct seqdb *writer;
  unsigned writers_waiting; /* for it, in this process */
  bool wanted;              /* when it was let go last, somebody waited for it */
  bool upkeep;              /* the writer lock is held for a moment, by no handle: see writer_lock.h */
  sdb_space space;
  sdb_catalog *committed;
  struct seqdb_snapshot *snapshots; /* oldest first */
  struct seqdb_snapshot *snapshots_last;
  uint64_t snapshot_count;
  uint64_t pins; /* of them, and of those that are being opened */
  /* The journal's last record is a published prepare of a coordinator that may still drop it after a crash.  Until the
  ** next record decides, the state before it stays readable: its catalog is live, and overlays are not applied.  NULL
  ** otherwise. */
  sdb_catalog *before_prepare;
  bool unsettled; /* the same, but the state before it is not known: all was read anew behind it */

  sdb_overlay overlay;

  /* [w] */
  uint32_t version;   /* of the headers that are written: that of the directory until its first change */
  uint8_t drawn[256]; /* random bytes for the next tokens, those that are left at the end */
  size_t drawn_left;
  sdb_token tip;          /* of the newest commit; zeros before the first one ... */
  sdb_file_uuid tip_file; /* ... and the SQLite file that made it */
  uint64_t epoch;         /* of the newest transaction or savepoint: see tree.h */
  uint32_t incarnation;   /* of the region created last */
  uint32_t *named;        /* indexes named by records since the last checkpoint; may repeat */
  size_t named_count, named_capacity;
  sdb_catalog_copy copy;
  uint64_t tip_at;         /* where its record stands; 0: in the base */
  uint32_t tip_durability; /* of its record */
  /* T2.  The newest state that no SQLite file goes back behind; the prepares of `candidates` after it may still count
  ** or not.  `dead_behind`: some lie behind the tip's record. */
  sdb_token settled;
  uint64_t settled_generation;
  sdb_file_uuid candidates;
  uint32_t candidate_count;
  bool dead_behind;
  uint64_t journal_at_settling, withheld_at_settling; /* bytes of the journal and withheld, after all was settled */
  uint64_t unproven;                                  /* without a board: see sdb_board_unproven() */
  _Atomic bool marked;                                /* without a board: see sdb_board_mark() */
  bool claims_changed;             /* the header that a checkpoint writes has other claims: it is due */
  _Atomic uint64_t claims_version; /* counts the headers that were taken over or written */
  uint64_t rewrite_at;             /* a rewriting of the journal failed: none of itself before it has grown to that */
  bool must_decide; /* a mend that has failed found an undecided prepare; keep_next says what it decided */
  bool keep_next;   /* the journal's last record is a published prepare: the next one must keep it */

  _Atomic bool refused; /* something found no room: the next transaction begins with a checkpoint */

  _Atomic uint64_t buffer_bytes; /* of all append buffers */
} sdb_store;

/* Is the floor above the last commit?  The next header skips the numbers between.  The writer. */
bool sdb_store_skips(const sdb_store *store);
/* The number that a header has, when all is settled and decided.  The writer. */
uint64_t sdb_store_base(const sdb_store *store);

/* No more writing: a failed fdatasync, or a journal in an unknown state. */
void sdb_poison(sdb_store *store);
bool sdb_is_poisoned(const sdb_store *store);
/* fdatasync, unless sync is off and the header says so.  A failure poisons (R7).  `file` names it in messages. */
int sdb_store_sync(sdb_store *store, sdb_fd fd, const char *file, const sdb_op *op);
/* The same, though sync is off. */
int sdb_store_sync_anyway(sdb_store *store, sdb_fd fd, const char *file, const sdb_op *op);

/* No extent of `data` reaches beyond.  A snapshot that is closed may lower it at any time. */
uint64_t sdb_store_end(sdb_store *store);
uint64_t sdb_store_generation(sdb_store *store);
/* A new live catalog that shares `tree`; NULL: out of memory. */
sdb_catalog *sdb_store_add_catalog(sdb_store *store, const sdb_tree *tree, enum sdb_catalog_kind kind,
                                   uint64_t generation);
/* NULL is allowed. */
void sdb_store_unref(sdb_store *store, sdb_catalog *catalog);

/* The newest generation that a snapshot of this process reads; 0 if there is none.  There are no savepoints, and no
** published prepare is undecided.  `mutex` held. */
uint64_t sdb_store_newest_reader(const sdb_store *store);
/* The catalog becomes the last commit.  `undecided`: the journal's last record is a prepare; `keep_old`: somebody may
** still go back to the state before it.  `mutex` held. */
void sdb_store_swap(sdb_store *store, sdb_catalog *catalog, bool undecided, bool keep_old);
/* The journal's last record is no undecided prepare: nobody can go back to the state before it.  `mutex` held. */
void sdb_store_decided(sdb_store *store);
/* `mine` becomes what the last commit and the journal's end are.  `mutex` held. */
void sdb_store_stand(sdb_store *store);

/* ---- other members; each does nothing without a board */

/* Has another member published something new?  No system call. */
bool sdb_store_is_behind(sdb_store *store);
/* The writer: publish the last commit and the journal's end. */
void sdb_store_publish(sdb_store *store);
/* The writer: are they, or the sizes of files, not what others know? */
bool sdb_store_has_news(sdb_store *store);
void sdb_store_remember_sizes(sdb_store *store);
/* The writer: the oldest generation that a member in another process may read; UINT64_MAX without a board.  Space
** learns what may be used again. */
uint64_t sdb_store_oldest_elsewhere(sdb_store *store);
/* Does a member in another process read anything? */
bool sdb_store_is_read_elsewhere(sdb_store *store);
/* The writer: the oldest generation that anybody may read. */
uint64_t sdb_store_oldest(sdb_store *store);

/* The writer: a token that nobody has.  The system is asked for many at once; none is given twice, as a child of fork()
** cannot use the store. */
int sdb_store_draw_token(sdb_store *store, sdb_token *token, const sdb_op *op);
/* Room for `more` in the list of named entries. */
int sdb_store_reserve_named(sdb_store *store, size_t more);

/* ---- space; the writer */

/* See the functions of space.h of the same name. */
uint64_t sdb_store_visible_bytes(sdb_store *store, uint32_t index, uint64_t start);
uint64_t sdb_store_marked_bytes(sdb_store *store, uint32_t index, uint64_t start);
int sdb_store_reserve_give_up(sdb_store *store, uint32_t index, uint64_t start, uint64_t bytes);
void sdb_store_give_up(sdb_store *store, uint32_t index, uint64_t start, uint64_t bytes);
void sdb_store_note_cut(sdb_store *store, uint32_t index, uint64_t start, uint64_t length, uint64_t old_length);

/* An extent that was just allocated. */
typedef struct sdb_extent {
  uint64_t start, bytes;
  bool dirty; /* it may hold blocks of what was there before */
} sdb_extent;
/* Allocate extent->bytes for entry `index`, anywhere or exactly at extent->start, and make `data` reach that
** far.  Errors, which change nothing: FULL, NOMEM, IO. */
int sdb_store_alloc(sdb_store *store, uint32_t index, sdb_extent *extent, const sdb_op *op);
int sdb_store_alloc_at(sdb_store *store, uint32_t index, sdb_extent *extent, const sdb_op *op);

/* ---- assertions of test builds, by brute force: the core rule in small databases only */
#ifdef SDB_CHECKS
/* No live catalog has a length over these bytes, and no record of the journal a range in them.  `mutex` held. */
void sdb_store_check_free(const sdb_store *store, uint64_t offset, uint64_t bytes);
/* No live catalog reserves any of the extent, nor does `own`. */
void sdb_store_check_unreserved(sdb_store *store, const sdb_extent *extent, const sdb_tree *own);
/* Every byte below the end of `data` is accounted for once. */
void sdb_store_check_adds_up(sdb_store *store, const sdb_tree *own);
#else
#define sdb_store_check_free(store, offset, bytes)     ((void)0)
#define sdb_store_check_unreserved(store, extent, own) ((void)0)
#define sdb_store_check_adds_up(store, own)            ((void)0)
#endif

#endif /* SDB_STORE_H */
