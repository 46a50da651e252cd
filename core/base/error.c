/* SPDX-License-Identifier: MIT
**
** error.c: filling the error record, quoting names for messages, the fixed text of each result code.
**
** Owns nothing: the caller's record is written in place and no memory is allocated, so that a message can be made
** when memory has run out.
** THREADS: every function is reentrant; a record belongs to its caller.
** INVARIANTS: strings in a record are NUL-terminated, and never end in the middle of a UTF-8 character.
*/
#undef _GNU_SOURCE /* wanted: the strerror_r of POSIX, which returns an int */
#define _POSIX_C_SOURCE 200809L

#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include "base/check.h"

/* The largest count <= `bytes` at which the text may be cut. */
static size_t utf8_cut(const char *text, size_t bytes) {
  size_t start = bytes;
  while (SDB_ALWAYS(start > 0) && bytes - start < 4) { /* no record is smaller than a character */
    start--;
    if (((uint8_t)text[start] & 0xC0) != 0x80) return sdb_utf8_char(text + start, bytes - start) > 0 ? bytes : start;
  }
  return bytes; /* no UTF-8 anyway */
}

static void copy_text(char *to, size_t capacity, const char *text) {
  size_t bytes = text != NULL ? strlen(text) : 0;
  if (bytes >= capacity) bytes = utf8_cut(text, capacity - 1);
  if (bytes > 0) memcpy(to, text, bytes);
  to[bytes] = 0;
}

static void format_message(seqdb_error *e, const char *format, va_list args) {
  int wanted = vsnprintf(e->message, sizeof e->message, format, args);
  if (SDB_NEVER(wanted < 0)) /* it fails for wide characters alone */
    copy_text(e->message, sizeof e->message, format);
  if (wanted >= (int)sizeof e->message) e->message[utf8_cut(e->message, sizeof e->message - 1)] = 0;
}

/* Everything but the message. */
static void fill(seqdb_error *e, int code, int os_errno, const char *operation, const char *file, uint64_t offset) {
  e->code = code;
  e->os_errno = os_errno;
  e->offset = offset;
  copy_text(e->operation, sizeof e->operation, operation);
  copy_text(e->file, sizeof e->file, file);
}

int sdb_error_set(const sdb_op *op, int code, const char *file, uint64_t offset, const char *format, ...) {
  seqdb_error *e = op->error;
  if (e != NULL) {
    va_list args;
    va_start(args, format);
    fill(e, code, 0, op->operation, file, offset);
    format_message(e, format, args);
    va_end(args);
  }
  return code;
}

static int code_of_errno(int os_errno) {
  switch (os_errno) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return SEQDB_FULL;
    case ENOMEM:
      return SEQDB_NOMEM;
    case EROFS:
    case EACCES:
    case EPERM:
      return SEQDB_READONLY;
    default:
      return SEQDB_IO;
  }
}

bool sdb_error_is_full(int os_errno) {
  return code_of_errno(os_errno) == SEQDB_FULL;
}

int sdb_error_os(const sdb_op *op, int os_errno, const char *file, uint64_t offset, const char *format, ...) {
  seqdb_error *e = op->error;
  int code = code_of_errno(os_errno);
  if (e != NULL) {
    char cause[128];
    va_list args;
    va_start(args, format);
    fill(e, code, os_errno, op->operation, file, offset);
    format_message(e, format, args);
    va_end(args);

    /* The cause must survive a long message: it displaces the message's end. */
    cause[0] = 0;
    /* The C library has a text for every number, or says EINVAL. */
    if (strerror_r(os_errno, cause, sizeof cause) != 0 || SDB_NEVER(cause[0] == 0)) {
      snprintf(cause, sizeof cause, "error %d", os_errno);
    }
    size_t room = sizeof e->message - sizeof ": " - strlen(cause);
    size_t used = strlen(e->message);
    if (used > room) used = utf8_cut(e->message, room);
    memcpy(e->message + used, ": ", 2);
    memcpy(e->message + used + 2, cause, strlen(cause) + 1);
  }
  return code;
}

int sdb_error_nomem(const sdb_op *op) {
  return sdb_error_set(op, SEQDB_NOMEM, NULL, 0, "%s: out of memory", op->operation);
}

const char *sdb_quote_name(const char *name, size_t name_bytes, char out[SDB_QUOTED_MAX]) {
  static const char digits[] = "0123456789ABCDEF";
  const size_t tail_bytes = sizeof "...'"; /* what must still fit after any character */
  size_t used = 0, at = 0;
  out[used++] = '\'';
  while (at < name_bytes) {
    size_t char_bytes = sdb_utf8_char(name + at, name_bytes - at);
    bool printable = char_bytes > 0 && !sdb_is_control((uint8_t)name[at]);
    size_t need = printable ? char_bytes : 4;
    if (used + need + tail_bytes > SDB_QUOTED_MAX) {
      memcpy(out + used, "...", 3);
      used += 3;
      break;
    }
    if (printable) {
      memcpy(out + used, name + at, char_bytes);
      at += char_bytes;
    } else {
      out[used] = '\\';
      out[used + 1] = 'x';
      out[used + 2] = digits[(uint8_t)name[at] >> 4];
      out[used + 3] = digits[(uint8_t)name[at] & 15];
      at++;
    }
    used += need;
  }
  out[used++] = '\'';
  out[used] = 0;
  return out;
}

const char *sdb_strerror(int code) {
  switch ((enum seqdb_result)code) {
    case SEQDB_OK:
      return "no error";
    case SEQDB_DONE:
      return "no further element";
    case SEQDB_COPY:
      return "the bytes cannot be pointed at, only copied";
    case SEQDB_NOTFOUND:
      return "no such region";
    case SEQDB_EXISTS:
      return "a region of that name exists";
    case SEQDB_INVALID:
      return "malformed argument";
    case SEQDB_RANGE:
      return "offset or length out of range";
    case SEQDB_READONLY:
      return "the database cannot be written";
    case SEQDB_BUSY:
      return "another transaction is being written";
    case SEQDB_LOCKED:
      return "the database is locked";
    case SEQDB_FULL:
      return "the disk is full";
    case SEQDB_IO:
      return "input/output error";
    case SEQDB_NOMEM:
      return "out of memory";
    case SEQDB_CORRUPT:
      return "the database is damaged";
    case SEQDB_POISONED:
      return "an earlier sync failed: close every handle and open the database anew";
    case SEQDB_VERSION:
      return "the database has a newer format";
    case SEQDB_INTERRUPTED:
      return "interrupted";
    case SEQDB_CANTOPEN:
      return "the database cannot be opened";
    case SEQDB_MISUSE:
      return "the library was misused";
    case SEQDB_GAP:
      return "what has changed since then is not known any more";
  }
  return "unknown result code";
}
