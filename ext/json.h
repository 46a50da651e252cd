/* SPDX-License-Identifier: MIT
**
** json.h: JSON as the result of a function.
*/
#ifndef SDB_JSON_H
#define SDB_JSON_H

#include "sqlite_api.h"

/* Subtype of JSON text: json functions nest it instead of quoting it. */
#define SDB_SUBTYPE_JSON 74

/* Flag of a function whose result has a subtype. */
#if defined(SQLITE_RESULT_SUBTYPE)
#define SDB_RESULT_SUBTYPE SQLITE_RESULT_SUBTYPE
#else
#define SDB_RESULT_SUBTYPE 0x001000000 /* 3.45; older versions ignore it */
#endif

/* Adds the text, which is UTF-8, as a JSON string. */
void sdb_json_add_string(sqlite3_str *json, const char *text);

#endif /* SDB_JSON_H */
