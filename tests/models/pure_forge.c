/* SPDX-License-Identifier: MIT
**
** pure_forge.c: what forging needs: right checksums for whatever stands under them, and random headers. See pure.h.
** THREADS: the interpreter's.
*/
#include "models/pure.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- checksums, as FORMAT.md says ---- */

void sdb_test_reseal_entry(uint8_t page[SDB_ENTRY_BYTES], uint32_t index) {
  uint64_t name_bytes = SDB_MIN(sdb_get64(page + 24), 4000);
  memcpy(page + 4032, "seqdbent", 8);
  sdb_put64(page + 4088, sdb_hash_bytes(page + 4032, 56, sdb_hash_bytes(page, (size_t)(32 + name_bytes), index)));
}

void sdb_test_reseal_header(uint8_t page[SDB_JOURNAL_HEADER_BYTES]) {
  sdb_put64(page + 4088, sdb_hash_bytes(page, 4088, 0));
}

void sdb_test_reseal_record(uint8_t *record, uint64_t bytes) {
  uint64_t claimed = sdb_get64(record + 8), head = memcmp(record, "sqdr", 4) == 0 || bytes < 192 ? 128 : 192;
  uint64_t payload = claimed < head ? 0 : SDB_MIN(claimed, bytes) - head;
  uint64_t seed = sdb_hash_bytes(record, (size_t)head - 8, 0);
  sdb_put64(record + head - 8, sdb_hash_bytes(record + head, (size_t)payload, seed));
}

/* Head and blocks, as far as there are any. */
static void reseal_catalog(uint8_t *file, uint64_t bytes) {
  uint64_t id = sdb_get64(file + 96);
  sdb_test_reseal_header(file);
  for (uint64_t at = 4096; at + 24 <= bytes;) {
    uint64_t size = sdb_get32(file + at + 4);
    if (size < 24 || size > bytes - at) return;
    uint64_t seed = sdb_hash_bytes(file + at, 16, id ^ at);
    sdb_put64(file + at + 16, sdb_hash_bytes(file + at + 24, (size_t)size - 24, seed));
    at += size;
  }
}

static int reseal_catalog_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int bytes = 0;
  (void)data;
  if (objc != 2) {
    Tcl_WrongNumArgs(interp, 1, objv, "FILE");
    return TCL_ERROR;
  }
  const uint8_t *given = Tcl_GetByteArrayFromObj(objv[1], &bytes);
  if (bytes < 4096) return sdb_test_fail(interp, "a catalog has 4096 bytes or more");
  Tcl_Obj *result = Tcl_NewByteArrayObj(given, bytes);
  reseal_catalog(Tcl_GetByteArrayFromObj(result, NULL), (uint64_t)bytes);
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

void sdb_test_forge_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_reseal_catalog", reseal_catalog_cmd, NULL, NULL);
}

/* ---- random objects ---- */

uint64_t sdb_test_random_pages(sdb_test_random *random, uint64_t most) {
  return sdb_test_below(random, sdb_test_below(random, 3) == 0 ? most : 64) * 4096;
}

void sdb_test_random_16(sdb_test_random *random, uint8_t bytes[16]) {
  for (size_t i = 0; i < 16; i++)
    bytes[i] = (uint8_t)sdb_test_next(random);
}

static void random_second(sdb_test_random *random, sdb_journal_header *h) {
  h->version = 2;
  h->start += 512 * sdb_test_below(random, 100000);
  h->overlay = sdb_test_below(random, 2) == 1;
  h->settled_generation = sdb_test_next(random);
  sdb_test_random_16(random, h->base_token.bytes);
  sdb_test_random_16(random, h->base_file.bytes);
  sdb_test_random_16(random, h->settled_token.bytes);
  h->claim_count = (uint32_t)sdb_test_below(random, SDB_CLAIMS_MAX + 1);
  for (uint32_t i = 0; i < h->claim_count; i++) {
    sdb_claim *claim = &h->claims[i];
    sdb_test_random_16(random, claim->file.bytes);
    claim->file.bytes[0] = (uint8_t)(i + 1); /* not zero, none twice */
    sdb_test_random_16(random, claim->settled.bytes);
    claim->inode = sdb_test_next(random);
    claim->birth_ns = sdb_test_next(random);
    claim->path_bytes = (uint32_t)sdb_test_below(random, SDB_CLAIM_PATH_BYTES_MAX + 1);
    memset(claim->path, 'p', claim->path_bytes);
  }
}

void sdb_test_random_header(sdb_test_random *random, sdb_journal_header *h) {
  *h = (sdb_journal_header){.version = 1,
                            .start = SDB_JOURNAL_START,
                            .sync_off = sdb_test_below(random, 2) == 1,
                            .sequence = sdb_test_next(random),
                            .salt = sdb_test_next(random) | 1,
                            .base_generation = sdb_test_next(random),
                            .data_bytes = sdb_test_random_pages(random, SDB_OFFSET_MAX / 4096),
                            .regions_bytes = sdb_test_random_pages(random, SDB_OFFSET_MAX / 4096),
                            .entries_hash = sdb_test_next(random)};
  sdb_test_random_16(random, h->uuid);
  h->entries = sdb_test_below(random, h->regions_bytes / 4096 + 1);
  if (sdb_test_below(random, 3) > 0) random_second(random, h);
}

/* ---- results ---- */

int sdb_test_report(Tcl_Interp *interp, uint64_t seed, uint64_t step, const char *problem, uint64_t count) {
  char text[200];
  if (problem != NULL) {
    snprintf(text, sizeof text, "seed %" PRIu64 " step %" PRIu64 ": %s", seed, step, problem);
  } else {
    snprintf(text, sizeof text, "%" PRIu64, count);
  }
  Tcl_SetObjResult(interp, Tcl_NewStringObj(text, -1));
  return problem != NULL ? TCL_ERROR : TCL_OK;
}
