/* SPDX-License-Identifier: MIT
**
** recover.h: from the files to the newest committed state (R6).  Layer 5.  Reads everything, decides all records first,
** then builds catalog and overlay in memory; writes nothing.  Whoever may write makes the result durable by a full
** checkpoint afterwards.  So a read-only open and a recovery are the same code.
** THREADS: runs alone, at open.
*/
#ifndef SDB_RECOVER_H
#define SDB_RECOVER_H

#include "base/error.h"
#include "files/catalog_file.h"
#include "files/damage.h"
#include "files/journal.h"
#include "files/regions_file.h"
#include "pure/patch.h"
#include "seqdb.h"
#include "space/extents.h"

/* The files as they are, and what the caller wants. */
typedef struct sdb_recover_from {
  sdb_fd dir;
  sdb_regions_file *regions;
  sdb_journal *journal; /* fd -1 if the directory has none */
  uint64_t data_bytes;  /* size of `data` */
  sdb_names *names;
  int (*interrupt)(void *context); /* NULL, or asked now and then, no lock held */
  void *interrupt_context;
  bool adopt;        /* accept entries that differ from the header's hash */
  bool resolve_drop; /* an undecided prepare is dropped instead of kept */
  bool resolve_keep; /* commits that an SQLite file decides about are kept, whatever it says */
  int (*committed)(void *context, const seqdb_question *question, uint8_t token[SEQDB_TOKEN_BYTES]); /* may be NULL */
  void *committed_context;
} sdb_recover_from;

typedef struct sdb_recovered {
  sdb_tree tree;
  sdb_patch overlay; /* byte ranges of all kept records */
  uint64_t generation;
  sdb_token tip;          /* of the newest commit ... */
  sdb_file_uuid tip_file; /* ... and the SQLite file that made it */
  uint32_t *named;        /* indexes put or deleted by kept records: sorted, unique */
  size_t named_count;
  sdb_owned_extent *extents; /* of the tree, by start */
  size_t extent_count;
  size_t records;    /* found in the journal */
  bool unclean;      /* the last session did not close: bulk bytes of its transaction may lie in holes */
  bool adopted;      /* the header must be written anew */
  sdb_token settled; /* T2: the newest state that no SQLite file goes back behind */
  uint64_t settled_generation, tip_at;
  uint32_t tip_durability, candidate_count;
  sdb_file_uuid candidates; /* whose commits came after it */
  bool dead_behind;         /* one of them lies behind the tip */
  bool blind;        /* and that file could not be asked, or says what nobody knows: the settled state is taken */
  bool undecided;    /* the last record is a prepare that a coordinator decides about */
  bool kept_last;    /* the last record is a prepare, of whomever, and was counted as committed */
  bool differs;      /* entries are not what the header says */
  bool apart;        /* who joins would find something else in the files, as long as this is not durable */
  bool sync_was_off; /* the last session crashed while it ran with sync=off: only broken structure is damage */
  sdb_damage damage;
  bool listed;              /* the entries were read from `catalog`, ... */
  sdb_catalog_head catalog; /* ... which has this head */
} sdb_recovered;

/* Damage is no error: it is described in out->damage.
** Errors: IO, NOMEM, VERSION, INTERRUPTED; then *out needs no freeing. */
int sdb_recover(const sdb_recover_from *from, sdb_recovered *out, const sdb_op *op);
/* Frees what the caller did not take over. */
void sdb_recovered_free(sdb_recovered *recovered, sdb_names *names);

#endif /* SDB_RECOVER_H */
