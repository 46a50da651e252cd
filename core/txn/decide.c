/* SPDX-License-Identifier: MIT
**
** decide.c: see decide.h.
*/
#include "txn/decide.h"

int sdb_record_append(sdb_store *store, sdb_record_writer *writer, sdb_record_header *header, uint64_t spare_bytes,
                      const sdb_op *op) {
  bool poison = false;
  pthread_mutex_lock(&store->files_mutex);
  header->flags = store->keep_next ? SDB_RECORD_KEEP : 0;
  header->salt = store->journal.header.salt;
  header->position = store->journal.tail;
  header->previous = store->journal.previous;
  header->parent = store->tip;
  sdb_record_seal(writer, header);
  int rc = sdb_journal_append(&store->journal, writer->buffer, header, spare_bytes, &poison, op);
  if (poison) sdb_poison(store);
  pthread_mutex_unlock(&store->files_mutex);
  if (rc != SEQDB_OK) return rc;
  pthread_mutex_lock(&store->mutex);
  sdb_store_decided(store);
  pthread_mutex_unlock(&store->mutex);
  return SEQDB_OK;
}

int sdb_decide(sdb_store *store, const sdb_op *op) {
  sdb_record_sizes sizes = {.version = store->journal.header.version};
  uint8_t record[SDB_RECORD_HEADER_BYTES];
  sdb_record_writer writer;
  sdb_record_header header = {.kind = SDB_RECORD_COMMIT,
                              .generation = store->committed->generation,
                              .data_bytes = sdb_store_end(store),
                              .entries = store->committed->tree.entries,
                              .entries_hash = store->committed->tree.hash};
  assert(sdb_record_size(&sizes) <= sizeof record);
  int rc = sdb_store_draw_token(store, &header.token, op);
  if (rc != SEQDB_OK) return rc;
  sdb_record_begin(&writer, record, &sizes, NULL);
  return sdb_record_append(store, &writer, &header, 0, op); /* its room came with the prepare */
}
