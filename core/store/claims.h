/* SPDX-License-Identifier: MIT
**
** claims.h: the SQLite files that a database belongs to (T5).  Layer 6.  Its public functions are in seqdb.h.
** THREADS: any.
*/
#ifndef SDB_CLAIMS_H
#define SDB_CLAIMS_H

#include "seqdb.h"
#include "pure/journal_header.h"

/* As the caller has it, as the header has it.  false: what it says no header can have. */
bool sdb_claim_take(const seqdb_claim *given, sdb_claim *claim);
void sdb_claim_give(const sdb_claim *claim, seqdb_claim *out);

#endif /* SDB_CLAIMS_H */
