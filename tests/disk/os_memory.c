/* SPDX-License-Identifier: MIT
**
** os_memory.c: the memory of os.h in test builds: each allocation asks the rules of os_faults.c first.  Layer 0.
** OWNS: the counts of what lives.
** THREADS: any.
*/
#pragma GCC visibility push(default) /* the second copy of the library uses these functions too */
#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include "os_faults.h"

static _Atomic int64_t live_memory, live_bytes, peak_bytes;

int64_t sdb_fault_live_memory(void) {
  return atomic_load(&live_memory);
}

void sdb_fault_bytes(int64_t *now, int64_t *peak) {
  *now = atomic_load(&live_bytes);
  *peak = atomic_load(&peak_bytes);
}

void sdb_fault_reset_peak(void) {
  atomic_store(&peak_bytes, atomic_load(&live_bytes));
}

static bool memory_refused(uint64_t bytes) {
  sdb_fault_pending p = {0};
  int rc = sdb_fault_begin(&p, SDB_CALL_MALLOC, "", 0, bytes);
  return sdb_fault_end(&p, rc) != 0;
}

/* Stands before each block, so that freeing it knows its size. */
typedef union block {
  struct {
    size_t bytes;
    uint64_t mark;
  } head;
  max_align_t alignment;
} block;
#define BLOCK_MARK UINT64_C(0x626c6f636b206f6b)

static void count_bytes(int64_t bytes) {
  int64_t now = atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed) + bytes;
  int64_t peak = atomic_load_explicit(&peak_bytes, memory_order_relaxed);
  while (now > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, now)) {
  }
}

static void *counted(block *b, size_t bytes) {
  if (b == NULL) {
    return NULL;
  }
  b->head.bytes = bytes;
  b->head.mark = BLOCK_MARK;
  count_bytes((int64_t)bytes);
  return b + 1;
}

static block *block_of(void *memory) {
  block *b = (block *)memory - 1;
  assert(b->head.mark == BLOCK_MARK); /* not from here, freed already, or written before its begin */
  return b;
}

void *sdb_malloc(size_t bytes) {
  block *b = memory_refused(bytes) ? NULL : sdb_real_malloc(sizeof *b + bytes);
  atomic_fetch_add_explicit(&live_memory, b != NULL, memory_order_relaxed);
  return counted(b, bytes);
}

void *sdb_calloc(size_t count, size_t bytes) {
  bool too_much = bytes != 0 && count > (SIZE_MAX - sizeof(block)) / bytes;
  block *b = too_much || memory_refused(count * bytes) ? NULL : sdb_real_calloc(1, sizeof *b + count * bytes);
  atomic_fetch_add_explicit(&live_memory, b != NULL, memory_order_relaxed);
  return counted(b, count * bytes);
}

void *sdb_realloc(void *memory, size_t bytes) {
  if (memory == NULL) {
    return sdb_malloc(bytes);
  }
  if (memory_refused(bytes)) {
    return NULL;
  }
  block *old = block_of(memory);
  int64_t old_bytes = (int64_t)old->head.bytes;
  block *b = sdb_real_realloc(old, sizeof *b + bytes);
  if (b != NULL) {
    count_bytes(-old_bytes);
  }
  return counted(b, bytes);
}

void *sdb_os_blocks(size_t count) {
  void *blocks = memory_refused(count * SDB_OS_BLOCK_BYTES) ? NULL : sdb_real_blocks(count);
  if (blocks != NULL) {
    atomic_fetch_add_explicit(&live_memory, 1, memory_order_relaxed);
    count_bytes((int64_t)(count * SDB_OS_BLOCK_BYTES));
  }
  return blocks;
}

void sdb_os_blocks_free(void *blocks, size_t count) {
  atomic_fetch_sub_explicit(&live_memory, 1, memory_order_relaxed);
  count_bytes(-(int64_t)(count * SDB_OS_BLOCK_BYTES));
  sdb_real_blocks_free(blocks, count);
}

void sdb_free(void *memory) {
  if (memory != NULL) {
    block *b = block_of(memory);
    atomic_fetch_sub_explicit(&live_memory, 1, memory_order_relaxed);
    count_bytes(-(int64_t)b->head.bytes);
    b->head.mark = 0;
    sdb_real_free(b);
  }
}
