/* SPDX-License-Identifier: MIT
**
** functions_feed.h: the functions of the change feed.
*/
#ifndef SDB_FUNCTIONS_FEED_H
#define SDB_FUNCTIONS_FEED_H

#include "connection.h"

int sdb_register_functions_feed(sdb_connection *connection);

#endif /* SDB_FUNCTIONS_FEED_H */
