/* SPDX-License-Identifier: MIT
**
** error.h: filling the error record.
** The deepest function that knows object, operation, offset and cause fills the record, once; callers above pass the
** code on.
*/
#ifndef SDB_ERROR_H
#define SDB_ERROR_H

#include "base/base.h"

/* A call of the public API on its way through the rooms: its name, for messages, and the record that its failure
** fills.  `error` may be NULL: then only the code comes back. */
typedef struct sdb_op {
  const char *operation;
  seqdb_error *error;
} sdb_op;

/* For work that is done later if it fails now: nobody reads why. */
static const sdb_op sdb_unheard = {"upkeep", NULL};

/* Fill the record and return `code`, so that `return sdb_error_set(...)` reads well.  `file` may be NULL
** (empty).  The message is cut at the record's size, never in the middle of a UTF-8 character. */
int sdb_error_set(const sdb_op *op, int code, const char *file, uint64_t offset, const char *format, ...)
    SDB_PRINTF(5, 6);

/* Same for a failed system call: `os_errno` chooses the code (ENOSPC, EDQUOT, EFBIG: FULL; ENOMEM: NOMEM; EROFS,
** EACCES, EPERM: READONLY; else IO) and ": strerror(os_errno)" is added to the message. */
int sdb_error_os(const sdb_op *op, int os_errno, const char *file, uint64_t offset, const char *format, ...)
    SDB_PRINTF(5, 6);

/* Is it one of those that mean FULL? */
bool sdb_error_is_full(int os_errno);

/* SEQDB_NOMEM with a message that names the operation. */
int sdb_error_nomem(const sdb_op *op);

/* Write a region name for a message: quoted, control characters and broken UTF-8 as \xNN, long names shortened with
** "...".  Returns `out`, NUL-terminated.  128 bytes are enough for `out`. */
#define SDB_QUOTED_MAX 128
const char *sdb_quote_name(const char *name, size_t name_bytes, char out[SDB_QUOTED_MAX]);

/* Fixed text of a result code; never NULL. */
const char *sdb_strerror(int code);

#endif /* SDB_ERROR_H */
