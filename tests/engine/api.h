/* SPDX-License-Identifier: MIT
**
** api.h: what the files of the engine's Tcl commands share: handles and snapshots as commands, arguments and errors.
*/
#ifndef SDB_API_H
#define SDB_API_H

#include <tcl.h>
#include "seqdb.h"
#include "lib/test_tcl.h"

/* A handle that is a Tcl command. */
typedef struct sdb_api_db {
  seqdb *db;
  Tcl_Command command;
  int64_t calls_until_interrupt; /* of the interrupt callback; < 0: never */
  Tcl_Interp *interp;
  Tcl_Obj *script; /* what it does each time, NULL: nothing */
} sdb_api_db;

/* A snapshot that is a Tcl command. */
typedef struct sdb_api_snapshot {
  seqdb_snapshot *snapshot;
  seqdb *db; /* whose error record tells what went wrong */
  Tcl_Command command;
} sdb_api_snapshot;

typedef struct sdb_api_sub {
  const char *name;
  int args_min, args_max; /* -1: any number */
  const char *usage;
  int (*run)(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]);
} sdb_api_sub;

/* Find argv[1] in the table, check the number of words and run it with the words after it. */
int sdb_api_dispatch(const sdb_api_sub *subs, void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]);

/* TCL_OK for rc >= 0; else the record's message, and {SEQDB CODE ERRNO FILE OFFSET} as error code. */
int sdb_api_result(Tcl_Interp *interp, int rc, const seqdb_error *error);
int sdb_api_done(Tcl_Interp *interp, seqdb *db, int rc); /* the same with the handle's last error */
const char *sdb_api_code_name(int code);

/* The handle behind a command's name; NULL and an error in the interpreter if it is none. */
sdb_api_db *sdb_api_handle(Tcl_Interp *interp, Tcl_Obj *word);

/* A region's name: the bytes of a byte array, else the text as UTF-8.  The caller frees *space. */
const char *sdb_api_name(Tcl_Obj *word, size_t *bytes, Tcl_DString *space);
Tcl_Obj *sdb_api_text(const char *utf8, size_t bytes);
/* A region is given by its number, or by its name (not all digits), which is looked up in `view`. */
int sdb_api_region(Tcl_Interp *interp, seqdb *db, seqdb_view *view, Tcl_Obj *word, seqdb_region *region);

void sdb_api_put(Tcl_Obj *dict, const char *key, Tcl_Obj *value);
void sdb_api_put_u64(Tcl_Obj *dict, const char *key, uint64_t value);

/* engine/api_read.c: reading, the same for a handle's own view and for a snapshot. */
typedef struct sdb_api_view {
  seqdb *db;
  seqdb_view *view;
} sdb_api_view;
extern const sdb_api_sub sdb_api_view_subs[]; /* the object is sdb_api_view */
int sdb_api_snapshot_command(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]);
int sdb_api_at_command(ClientData data, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]);

extern const sdb_api_sub sdb_api_upkeep_subs[]; /* engine/api_upkeep.c; the object is sdb_api_db */

/* engine/api_changes.c; the object is sdb_api_db, of changes a sdb_api_snapshot */
extern const sdb_api_sub sdb_api_changes_subs[];
int sdb_api_run_changes(void *object, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]);

/* engine/api_threads.c: workloads in C */
void sdb_api_threads_init(Tcl_Interp *interp);

#endif /* SDB_API_H */
