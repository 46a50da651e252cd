/* SPDX-License-Identifier: MIT
**
** functions_files.h: the functions that copy a file into a region and back.
*/
#ifndef SDB_FUNCTIONS_FILES_H
#define SDB_FUNCTIONS_FILES_H

#include "connection.h"

int sdb_register_functions_files(sdb_connection *connection);

#endif /* SDB_FUNCTIONS_FILES_H */
