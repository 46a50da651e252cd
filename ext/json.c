/* SPDX-License-Identifier: MIT
**
** json.c: see json.h.
*/
#include "json.h"

void sdb_json_add_string(sqlite3_str *json, const char *text) {
  sqlite3_str_appendchar(json, 1, '"');
  for (const char *at = text; *at; at++) {
    if (*at == '"' || *at == '\\') sqlite3_str_appendchar(json, 1, '\\');
    if ((unsigned char)*at < 0x20) {
      sqlite3_str_appendf(json, "\\u%04x", *at);
    } else {
      sqlite3_str_appendchar(json, 1, *at);
    }
  }
  sqlite3_str_appendchar(json, 1, '"');
}
