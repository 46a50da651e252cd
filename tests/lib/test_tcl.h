/* SPDX-License-Identifier: MIT
**
** test_tcl.h: commands with subcommands from a table, and errno as Tcl knows it, for the files of Tcl commands here.
*/
#ifndef SDB_TEST_TCL_H
#define SDB_TEST_TCL_H

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <tcl.h>

/* argv[0] is the first word after the subcommand. */
typedef struct sdb_test_sub {
  const char *name;
  int args_min, args_max; /* -1: any number */
  const char *usage;
  int (*run)(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]);
} sdb_test_sub;

/* For Tcl_CreateObjCommand: the client data is a table that ends with a NULL name. */
static inline int sdb_test_dispatch(ClientData table, Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  const sdb_test_sub *subs = table;
  int index;
  if (argc < 2) {
    Tcl_WrongNumArgs(interp, 1, argv, "subcommand ?arg ...?");
    return TCL_ERROR;
  }
  if (Tcl_GetIndexFromObjStruct(interp, argv[1], subs, sizeof *subs, "subcommand", TCL_EXACT, &index) != TCL_OK) {
    return TCL_ERROR;
  }
  if (argc - 2 < subs[index].args_min || (subs[index].args_max >= 0 && argc - 2 > subs[index].args_max)) {
    Tcl_WrongNumArgs(interp, 2, argv, subs[index].usage);
    return TCL_ERROR;
  }
  return subs[index].run(interp, argc - 2, argv + 2);
}

static inline const char *sdb_test_errno_name(int error) {
  if (error == 0) {
    return "OK";
  }
  if (error == EOPNOTSUPP) {
    return "EOPNOTSUPP"; /* Tcl's name for the number is not the same everywhere */
  }
  Tcl_SetErrno(error);
  return Tcl_ErrnoId();
}

/* TCL_OK for 0, else an error whose message is the errno's name. */
static inline int sdb_test_errno(Tcl_Interp *interp, int error) {
  if (error == 0) {
    return TCL_OK;
  }
  Tcl_SetObjResult(interp, Tcl_NewStringObj(sdb_test_errno_name(error), -1));
  return TCL_ERROR;
}

/* The number of an errno's name. */
static inline int sdb_test_errno_of(Tcl_Interp *interp, Tcl_Obj *word, int *error) {
  for (*error = 1; *error < 200; ++*error) {
    if (strcmp(sdb_test_errno_name(*error), Tcl_GetString(word)) == 0) {
      return TCL_OK;
    }
  }
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("no errno: %s", Tcl_GetString(word)));
  return TCL_ERROR;
}

static inline int sdb_test_u64(Tcl_Interp *interp, Tcl_Obj *word, uint64_t *value) {
  Tcl_WideInt wide;
  if (Tcl_GetWideIntFromObj(interp, word, &wide) != TCL_OK) {
    return TCL_ERROR;
  }
  *value = (uint64_t)wide;
  return TCL_OK;
}

static inline Tcl_Obj *sdb_test_wide(uint64_t value) {
  return Tcl_NewWideIntObj((Tcl_WideInt)value);
}

#endif /* SDB_TEST_TCL_H */
