/* SPDX-License-Identifier: MIT
**
** checksum.h: XXH3 of a run of bytes.
*/
#ifndef SDB_CHECKSUM_H
#define SDB_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint64_t sdb_checksum(const void *data, size_t bytes);

#endif /* SDB_CHECKSUM_H */
