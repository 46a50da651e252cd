/* SPDX-License-Identifier: MIT
**
** functions_layout.c: seqdb_layout_svg(T [, width]): what seqdb_layout() lists, as a picture.
**
**   SELECT writefile('layout.svg', seqdb_layout_svg('regions'));     -- in the shell
*/
#include "attach.h"
#include "find_table.h"
#include "functions_layout.h"
#include "layout_svg.h"
#include "value.h"

static int take_width(int argc, sqlite3_value **argv, int *width, sdb_failure *f) {
  uint64_t number = SDB_SVG_WIDTH_DEFAULT;
  if (argc > 1 && sdb_value_number("seqdb_layout_svg", ": width", argv[1], &number, f) != SQLITE_OK) return f->code;
  *width = (int)number;
  if (number >= SDB_SVG_WIDTH_MIN && number <= SDB_SVG_WIDTH_MAX) return SQLITE_OK;
  return sdb_failure_set(f, SQLITE_ERROR, "seqdb_layout_svg: width %llu is not from %d to %d",
                         (unsigned long long)number, SDB_SVG_WIDTH_MIN, SDB_SVG_WIDTH_MAX);
}

static void layout_svg_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_directory *directory = NULL;
  seqdb_layout_row *rows = NULL;
  size_t count = 0;
  char *svg = NULL;
  int width = 0;
  sdb_failure f = {0};
  if (take_width(argc, argv, &width, &f) == SQLITE_OK &&
      sdb_find_table(sqlite3_user_data(context), argv[0], &directory, &f) == SQLITE_OK) {
    int rc = seqdb_layout(directory->engine, &rows, &count);
    if (sdb_failure_engine(&f, directory->engine, rc) == SQLITE_OK)
      svg = sdb_layout_svg(directory->name, rows, count, width, &f);
    seqdb_free(rows);
    sdb_directory_release(directory);
  }
  if (svg) sqlite3_result_text(context, svg, -1, sqlite3_free);
  sdb_failure_to_result(&f, context);
}

int sdb_register_functions_layout(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {"seqdb_layout_svg", 1, SQLITE_DIRECTONLY, layout_svg_function},
      {"seqdb_layout_svg", 2, SQLITE_DIRECTONLY, layout_svg_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
