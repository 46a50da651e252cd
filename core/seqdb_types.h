/* SPDX-License-Identifier: MIT
**
** seqdb_types.h: the words of seqdb's public API: error codes, the error record and the plain structures that the
** functions of seqdb.h fill.  Nothing here allocates or owns anything unless the field says so.
**
** Units are part of the names: _bytes counts bytes, _ms milliseconds; an offset is a byte offset in `data` unless
** it is called a region offset.  Every integer is unsigned unless a negative value means something.
*/
#ifndef SEQDB_TYPES_H
#define SEQDB_TYPES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SEQDB_PAGE_BYTES     4096u /* unit of every extent: start and reserved are multiples of it */
#define SEQDB_NAME_BYTES_MAX 1024u /* longest region name; shortest is 1 */
#define SEQDB_TOKEN_BYTES    16u   /* token of a prepare record */
#define SEQDB_UUID_BYTES     16u   /* uuid of a database */

/* Result codes.  The values are stable: they are part of the ABI.  0 is success, positive values are news and not
** errors, negative values are errors described by the handle's error record. */
enum seqdb_result {
  SEQDB_OK = 0,
  SEQDB_DONE = 1,          /* an iteration has no further element */
  SEQDB_COPY = 2,          /* these bytes cannot be pointed at; use seqdb_read_copy() */
  SEQDB_NOTFOUND = -1,     /* no such region, or it was removed since it was found */
  SEQDB_EXISTS = -2,       /* a region of that name exists */
  SEQDB_INVALID = -3,      /* an argument is malformed (name, option, offset of the wrong kind) */
  SEQDB_RANGE = -4,        /* an offset or length lies outside the region, or outside what a file can hold */
  SEQDB_READONLY = -5,     /* the handle or the database cannot be written (errmsg says why) */
  SEQDB_BUSY = -6,         /* another handle or process holds the writer lock (busy timeout is over) */
  SEQDB_LOCKED = -7,       /* another process has the database open, or the call needs a state it is not in */
  SEQDB_FULL = -8,         /* the disk, or the address space of the file, is full */
  SEQDB_IO = -9,           /* the operating system reported an error; os_errno says which */
  SEQDB_NOMEM = -10,       /* out of memory */
  SEQDB_CORRUPT = -11,     /* the files are damaged; the message names file, entry and byte */
  SEQDB_POISONED = -12,    /* an earlier fdatasync failed: close every handle and open anew */
  SEQDB_VERSION = -13,     /* the files were written by a newer format version */
  SEQDB_INTERRUPTED = -14, /* the interrupt callback asked to stop */
  SEQDB_CANTOPEN = -15,    /* the directory or one of its files cannot be opened */
  SEQDB_MISUSE = -16,      /* the handle was used after fork, or a promise of the header was broken */
  SEQDB_GAP = -17          /* what has changed since then is not known any more: begin with everything */
};

/* STRUCTURES THAT CARRY THEIR SIZE: seqdb_error, seqdb_stat_info, seqdb_salvage_info, seqdb_change and seqdb_options
** (seqdb.h).  The caller sets their first member, size_bytes, to their sizeof before the call; the _INIT macros do so,
** and make all else zero:
**     seqdb_error error = SEQDB_ERROR_INIT;
** A program thus works with a library of another version, older or newer.  The library reads and writes no byte beyond
** size_bytes; what it does not know of a longer structure it fills with zeros.  A size of 0, or any that the structure
** never had, is SEQDB_INVALID. */

/* The record of one failure.  `code` is 0 while nothing failed.  Strings are NUL-terminated. */
typedef struct seqdb_error {
  uint32_t size_bytes; /* sizeof(seqdb_error), set by the caller */
  int code;            /* enum seqdb_result */
  int os_errno;        /* errno of the failing system call, 0 if none */
  char operation[24];  /* "append", "open", "commit", ... */
  char file[16];       /* "data", "regions", "journal" or "" */
  uint64_t offset;     /* byte in `file`, or region offset, where it failed; meaningless if the message has none */
  char message[1400];  /* one line for people, naming the object, the operation and the cause */
} seqdb_error;
#define SEQDB_ERROR_INIT \
  { (uint32_t)sizeof(seqdb_error), 0, 0, "", "", 0, "" }

/* A region as returned by look-ups: an opaque, never-zero number.  It stays valid until the region is removed;
** using it afterwards is SEQDB_NOTFOUND, never another region's bytes.  It means nothing after close. */
typedef uint64_t seqdb_region;

typedef struct seqdb_region_info {
  seqdb_region region;
  uint32_t index; /* entry index in `regions`; SQL's rowid is index + 1 */
  uint32_t name_bytes;
  const char *name; /* UTF-8, not NUL-terminated; valid as long as the view it was read from (see seqdb.h) */
  uint64_t offset;  /* of the region's first byte, in `data` */
  uint64_t length_bytes;
  uint64_t reserved_bytes;
  uint64_t generation; /* commit that last changed the entry; 0 if never changed by this library */
  uint64_t created;    /* commit that made the region; 0 if unknown.  index and created name one life of a region */
} seqdb_region_info;

/* An SQLite file that a database belongs to: see seqdb_claims(). */
#define SEQDB_FILE_UUID_BYTES      16u
#define SEQDB_CLAIMS_MAX           14u
#define SEQDB_CLAIM_PATH_BYTES_MAX 200u
typedef struct seqdb_claim {
  uint8_t file[SEQDB_FILE_UUID_BYTES]; /* the SQLite file's uuid; not zero */
  uint8_t settled[SEQDB_TOKEN_BYTES];  /* of its newest commit that is known to be durable in both */
  uint64_t inode, birth_ns; /* of the file, when it was claimed; birth in nanoseconds since 1970, 0: unknown */
  uint32_t path_bytes;      /* 0: the path is too long, or not known */
  char path[SEQDB_CLAIM_PATH_BYTES_MAX]; /* from the database's directory to the file, not NUL-terminated */
} seqdb_claim;

/* What an SQLite file is asked at opening. */
typedef struct seqdb_question {
  uint8_t directory[SEQDB_UUID_BYTES]; /* the database's uuid */
  seqdb_claim claim;                   /* the file's; of one without a claim the uuid alone */
} seqdb_question;

/* What tells one file from another. */
typedef struct seqdb_file_identity {
  uint64_t device, inode;
  uint64_t birth_ns; /* in nanoseconds since 1970; 0: not known */
} seqdb_file_identity;

typedef struct seqdb_stat_info {
  uint32_t size_bytes;                 /* sizeof(seqdb_stat_info), set by the caller */
  uint64_t generation;                 /* newest commit */
  uint64_t regions;                    /* regions in it */
  uint64_t content_bytes;              /* sum of their lengths */
  uint64_t reserved_bytes;             /* sum of their reserves */
  uint64_t hole_bytes;                 /* extents owned by nobody, free to use */
  uint64_t pending_bytes;              /* freed, but still visible to a snapshot or to recovery */
  uint64_t file_bytes;                 /* size of `data` */
  uint64_t disk_bytes;                 /* disk blocks of `data` */
  uint64_t journal_bytes;              /* records in use: since the last checkpoint, or rewriting of the journal */
  uint64_t overlay_bytes;              /* memory of committed overwrites that are not in `data` */
  uint64_t snapshots;                  /* as many as seqdb_snapshots() shows, of all processes */
  uint64_t oldest_snapshot_generation; /* 0 if no snapshot is open */
  uint64_t oldest_snapshot_age_ms;     /* 0 if no snapshot is open */
  uint64_t oldest_snapshot_held_bytes; /* pending and overlay bytes that wait for it */
  uint64_t entry_disk_bytes;           /* disk blocks of `regions` and `catalog` */
} seqdb_stat_info;
#define SEQDB_STAT_INIT \
  { (uint32_t)sizeof(seqdb_stat_info), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }

/* A reader: see seqdb_snapshots(). */
typedef struct seqdb_snapshot_info {
  uint32_t size_bytes; /* sizeof(seqdb_snapshot_info), as far as the library knows it */
  uint64_t pid;        /* of its process */
  uint64_t generation; /* that it reads */
  uint64_t age_ms;
  uint64_t held_bytes; /* of the oldest one: what waits for it, in `data` and in memory; of others 0 */
} seqdb_snapshot_info;

/* What seqdb_salvage() has found. */
typedef struct seqdb_salvage_info {
  uint32_t size_bytes; /* sizeof(seqdb_salvage_info), set by the caller */
  uint64_t saved;      /* regions that are in the new database */
  uint64_t partly;     /* of them: bytes are missing, zeros stand there or the end is cut off */
  uint64_t lost;       /* entries of which nothing could be saved */
  uint64_t bytes;      /* sum of the lengths of what was saved */
} seqdb_salvage_info;
#define SEQDB_SALVAGE_INIT \
  { (uint32_t)sizeof(seqdb_salvage_info), 0, 0, 0, 0 }

/* One change of a region between two commits: see seqdb_changes_next(). */
enum seqdb_change_op {
  SEQDB_CHANGE_REMOVE = 1, /* the region that entry and created name is gone; created 0: whatever has this entry */
  SEQDB_CHANGE_CREATE = 2, /* it is new: its length and all its bytes follow */
  SEQDB_CHANGE_RENAME = 3, /* it was there, and may have another name now */
  SEQDB_CHANGE_WRITE = 4,  /* bytes [offset, offset + bytes) may be others now */
  SEQDB_CHANGE_LENGTH = 5  /* its length is `offset` now, perhaps as before */
};
typedef struct seqdb_change {
  uint32_t size_bytes; /* sizeof(seqdb_change), set by the caller */
  uint32_t entry;      /* index in `regions` */
  uint64_t created;    /* commit that made the region; 0 if unknown.  entry and created name one life of a region */
  uint32_t op;         /* enum seqdb_change_op */
  uint32_t name_bytes;
  uint64_t offset, bytes; /* of WRITE and LENGTH, in the region; else 0 */
  const char *name;       /* that it has now, not NUL-terminated; NULL with REMOVE */
  seqdb_region region;    /* to read it with, in the snapshot's view; 0 with REMOVE */
} seqdb_change;
#define SEQDB_CHANGE_INIT \
  { (uint32_t)sizeof(seqdb_change), 0, 0, 0, 0, 0, 0, NULL, 0 }

/* One row of seqdb_layout(): the rows cover `data` from 0 to its end without a gap, in order. */
enum seqdb_extent_kind {
  SEQDB_EXTENT_REGION = 1,
  SEQDB_EXTENT_HOLE = 2,
  SEQDB_EXTENT_PENDING = 3,
  SEQDB_EXTENT_TAIL = 4
};
typedef struct seqdb_layout_row {
  uint64_t offset, bytes;
  uint64_t used_bytes; /* length of the region; 0 for the other kinds */
  uint32_t kind;       /* enum seqdb_extent_kind */
  uint32_t name_bytes;
  const char *name; /* owned by the array; NULL unless kind is REGION */
} seqdb_layout_row;

/* One step of compaction. */
enum seqdb_compact_kind {
  SEQDB_COMPACT_MOVE = 1,  /* a region was moved down */
  SEQDB_COMPACT_PUNCH = 2, /* freed space was punched out of the file */
  SEQDB_COMPACT_CUT = 3    /* the file's tail was cut */
};
typedef struct seqdb_compact_step_info {
  uint32_t kind; /* enum seqdb_compact_kind */
  uint32_t name_bytes;
  char name[SEQDB_NAME_BYTES_MAX]; /* of the moved region, not NUL-terminated */
  uint64_t moved_bytes;            /* content copied by this step */
  uint64_t freed_bytes;            /* bytes given back to the file system by this step */
} seqdb_compact_step_info;

#ifdef __cplusplus
}
#endif
#endif /* SEQDB_TYPES_H */
