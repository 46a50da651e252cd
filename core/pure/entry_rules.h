/* SPDX-License-Identifier: MIT
**
** entry_rules.h: what every entry must keep to, wherever it stands: in a page of `regions`, in a record, in a call.
** Pure: no I/O.  FORMAT.md section 2.
*/
#ifndef SDB_ENTRY_RULES_H
#define SDB_ENTRY_RULES_H

#include "base/base.h"

/* What is wrong with an entry's three numbers, as a fixed text; NULL if nothing.  *field: 0 start, 1 length, 2
** reserved. */
const char *sdb_extent_problem(uint64_t start, uint64_t length, uint64_t reserved, uint32_t *field);
bool sdb_extent_is_good(uint64_t start, uint64_t length, uint64_t reserved);

/* 1..1024 bytes of valid UTF-8 (no surrogates, no overlong forms, <= U+10FFFF), no control characters.  Returns NULL
** if good, else a fixed text saying what is wrong; *at (may be NULL) is the offending byte. */
const char *sdb_name_problem(const char *name, size_t name_bytes, size_t *at);

#endif /* SDB_ENTRY_RULES_H */
