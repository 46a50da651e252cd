/* SPDX-License-Identifier: MIT
**
** functions_typed.c: the functions that reckon with a region as an array of numbers.
**
**   SELECT seqdb_aggregate('regions', 'temperature', 'f32') ->> 'mean';
**   SELECT seqdb_aggregate('regions', 'temperature', 'f32', 1000, 500);   -- values 1000 to 1499
**
** JSON: count, sum, min, max, mean; NULL if there is no such region.  NaN counts as NULL does: not at all.  Values are
** read where they lie, in the mapping, or, if they are not all there, through a piece of memory.
*/
#include "functions_typed.h"
#include "interrupt.h"
#include "json.h"
#include "reader.h"
#include "sums.h"
#include "typed.h"

#define AGGREGATE "seqdb_aggregate" /* for messages */

/* As many values at once; a multiple of SDB_SUMS_BLOCK, between two questions whether to stop. */
#define MAPPED_VALUES 524288u
#define COPIED_VALUES 32768u

/* Where they are to be read: mapped, or piece by piece into `copy`. */
typedef struct sdb_array {
  sdb_reader *reader;
  const sdb_typed *typed;
  const uint8_t *mapped; /* all of them, or NULL */
  void *copy;            /* COPIED_VALUES of them, or NULL */
} sdb_array;

/* Values from number `done` on; NULL: *f is set. */
static const void *find_values(const sdb_array *array, uint64_t done, uint64_t values, sdb_failure *f) {
  const uint64_t bytes = array->typed->type->bytes;
  if (array->mapped) return array->mapped + done * bytes;
  uint64_t offset = (array->typed->first + done) * bytes;
  return sdb_reader_copy(array->reader, offset, array->copy, (size_t)(values * bytes), f) == SQLITE_OK ? array->copy
                                                                                                       : NULL;
}

static int add_all(sdb_connection *connection, const sdb_array *array, sdb_sums *sums, sdb_failure *f) {
  const sdb_typed *typed = array->typed;
  const uint64_t most = array->mapped ? MAPPED_VALUES : COPIED_VALUES;
  for (uint64_t done = 0; done < typed->count;) {
    uint64_t values = typed->count - done < most ? typed->count - done : most;
    if (sdb_connection_interrupted(connection)) return sdb_failure_set(f, SQLITE_INTERRUPT, AGGREGATE ": interrupted");
    const void *data = find_values(array, done, values, f);
    if (!data) return f->code;
    uint64_t added = sdb_sums_add(sums, data, values);
    if (added < values) {
      const uint8_t *at = (const uint8_t *)data + added * typed->type->bytes;
      return sdb_typed_too_large(AGGREGATE, array->reader, typed->first + done + added, sdb_typed_u64(at), f);
    }
    done += values;
  }
  return SQLITE_OK;
}

/* JSON from sqlite3_malloc; NULL: *f is set. */
static char *aggregate(sdb_connection *connection, sdb_reader *reader, const sdb_typed *typed, sdb_failure *f) {
  const uint64_t bytes = typed->type->bytes;
  sdb_sums sums = {.type = typed->type};
  sdb_array array = {.reader = reader, .typed = typed};
  char *json = NULL;
  array.mapped = sdb_reader_map(reader, typed->first * bytes, typed->count * bytes);
  if (!array.mapped) array.copy = sqlite3_malloc64(COPIED_VALUES * bytes);
  if (!array.mapped && !array.copy) {
    sdb_failure_nomem(f);
  } else if (add_all(connection, &array, &sums, f) == SQLITE_OK) {
    json = sdb_sums_json(&sums);
    if (!json) sdb_failure_nomem(f);
  }
  sqlite3_free(array.copy);
  return json;
}

static void aggregate_function(sqlite3_context *context, int argc, sqlite3_value **argv) {
  sdb_connection *connection = sqlite3_user_data(context);
  sdb_reader reader = {0};
  sdb_typed typed;
  sdb_failure f = {0};
  char *json = NULL;
  bool found;
  if (sdb_typed_take(AGGREGATE, argv[2], argc > 3 ? argv[3] : NULL, argc > 4 ? argv[4] : NULL, &typed, &f) ==
          SQLITE_OK &&
      sdb_reader_open(&reader, connection, AGGREGATE, argv, &found, &f) == SQLITE_OK && found &&
      sdb_typed_fit(AGGREGATE, &reader, &typed, &f) == SQLITE_OK) {
    json = aggregate(connection, &reader, &typed, &f);
  }
  sdb_reader_close(&reader);
  if (f.code != SQLITE_OK) {
    sdb_failure_to_result(&f, context);
  } else if (json) {
    sqlite3_result_text(context, json, -1, sqlite3_free);
    sqlite3_result_subtype(context, SDB_SUBTYPE_JSON);
  }
}

int sdb_register_functions_typed(sdb_connection *connection) {
  static const sdb_function functions[] = {
      {AGGREGATE, 3, SQLITE_DIRECTONLY | SDB_RESULT_SUBTYPE, aggregate_function},
      {AGGREGATE, 4, SQLITE_DIRECTONLY | SDB_RESULT_SUBTYPE, aggregate_function},
      {AGGREGATE, 5, SQLITE_DIRECTONLY | SDB_RESULT_SUBTYPE, aggregate_function},
  };
  return sdb_connection_add_functions(connection, functions, sizeof functions / sizeof functions[0]);
}
