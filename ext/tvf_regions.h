/* SPDX-License-Identifier: MIT
**
** tvf_regions.h: seqdb_regions(directory).
*/
#ifndef SDB_TVF_REGIONS_H
#define SDB_TVF_REGIONS_H

#include "connection.h"

int sdb_register_regions(sdb_connection *connection);

#endif /* SDB_TVF_REGIONS_H */
