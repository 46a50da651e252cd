/* SPDX-License-Identifier: MIT
**
** base.h: what every file of the engine may use: page arithmetic, little-endian access, UTF-8, result codes.
** Owns nothing; every function is pure.
*/
#ifndef SDB_BASE_H
#define SDB_BASE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "seqdb_types.h"

#define SDB_PAGE ((uint64_t)SEQDB_PAGE_BYTES)
/* Largest offset any file of ours may have: off_t is signed, and a page of slack keeps sums from overflowing. */
#define SDB_OFFSET_MAX ((uint64_t)INT64_MAX - 2 * SDB_PAGE)

#define SDB_INDEX_MAX 0xfffffff0u /* indexes of entries are smaller */
#define SDB_MIN(a, b) ((a) < (b) ? (a) : (b))
#define SDB_MAX(a, b) ((a) > (b) ? (a) : (b))

#if defined(__GNUC__)
#define SDB_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define SDB_UNUSED            __attribute__((unused))
#define SDB_PREFETCH(address) __builtin_prefetch(address)
#else
#define SDB_PRINTF(fmt, args)
#define SDB_UNUSED
#define SDB_PREFETCH(address) ((void)(address))
#endif

static inline uint64_t sdb_page_down(uint64_t bytes) {
  return bytes & ~(SDB_PAGE - 1);
}
/* bytes <= SDB_OFFSET_MAX */
static inline uint64_t sdb_page_up(uint64_t bytes) {
  return (bytes + SDB_PAGE - 1) & ~(SDB_PAGE - 1);
}

static inline bool sdb_is_page_aligned(uint64_t bytes) {
  return bytes % SDB_PAGE == 0;
}

/* bytes <= 4096.  Measured for 4000 bytes: 0.05 us, and 0.17 us for a loop over words. */
static inline bool sdb_is_zero(const uint8_t *p, size_t bytes) {
  static const uint8_t zeros[SEQDB_PAGE_BYTES];
  assert(bytes <= sizeof zeros);
  return memcmp(p, zeros, bytes) == 0;
}

static inline void sdb_put16(uint8_t *p, uint16_t v) {
  p[0] = (uint8_t)v;
  p[1] = (uint8_t)(v >> 8);
}
static inline void sdb_put32(uint8_t *p, uint32_t v) {
  sdb_put16(p, (uint16_t)v);
  sdb_put16(p + 2, (uint16_t)(v >> 16));
}
static inline void sdb_put64(uint8_t *p, uint64_t v) {
  sdb_put32(p, (uint32_t)v);
  sdb_put32(p + 4, (uint32_t)(v >> 32));
}
static inline uint16_t sdb_get16(const uint8_t *p) {
  return (uint16_t)(p[0] | (uint16_t)p[1] << 8);
}
static inline uint32_t sdb_get32(const uint8_t *p) {
  return sdb_get16(p) | (uint32_t)sdb_get16(p + 2) << 16;
}
static inline uint64_t sdb_get64(const uint8_t *p) {
  return sdb_get32(p) | (uint64_t)sdb_get32(p + 4) << 32;
}

/* Bytes (1..4) of the UTF-8 character at the start of text[0..bytes); 0 if there is none or it is broken: cut off,
** overlong, a surrogate, or beyond U+10FFFF. */
static inline size_t sdb_utf8_char(const char *text, size_t bytes) {
  const uint8_t *p = (const uint8_t *)text;
  if (bytes == 0) return 0;
  if (p[0] < 0x80) return 1;
  size_t count = p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : p[0] < 0xF5 ? 4 : 0;
  if (count == 0 || count > bytes) return 0;
  /* Only the second byte has bounds that depend on the first. */
  uint8_t low = p[0] == 0xE0 ? 0xA0 : p[0] == 0xF0 ? 0x90 : 0x80;
  uint8_t high = p[0] == 0xED ? 0x9F : p[0] == 0xF4 ? 0x8F : 0xBF;
  if (p[1] < low || p[1] > high) return 0;
  for (size_t i = 2; i < count; i++) {
    if ((p[i] & 0xC0) != 0x80) return 0;
  }
  return count;
}
/* U+0000..U+001F and U+007F; `byte` is the first of a character. */
static inline bool sdb_is_control(uint8_t byte) {
  return byte < 0x20 || byte == 0x7F;
}

/* Lowest set bit; `bits` is not 0. */
static inline unsigned sdb_lowest_bit(uint64_t bits) {
#if defined(__GNUC__)
  return (unsigned)__builtin_ctzll(bits);
#else
  unsigned at = 0;
  while (!(bits >> at & 1))
    at++;
  return at;
#endif
}

#endif /* SDB_BASE_H */
