/* SPDX-License-Identifier: MIT
**
** test_breaks.c: the Tcl command over core/breaks.h.
**
**   sdb_break            -> the names of the rules
**   sdb_break RULE       the engine breaks this rule from now on ("none": keeps them all)
*/
#include <string.h>
#include <tcl.h>
#include "breaks.h"
#include "testfixture.h"

static int break_command(ClientData unused, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  Tcl_Obj *names = Tcl_NewListObj(0, NULL);
  (void)unused;
  for (int rule = SDB_RULE_NONE; rule < SDB_RULES; rule++) {
    const char *name = sdb_rule_name((enum sdb_rule)rule);
    if (objc == 2 && strcmp(name, Tcl_GetString(objv[1])) == 0) {
      sdb_break_set((enum sdb_rule)rule);
      Tcl_DecrRefCount(names);
      return TCL_OK;
    }
    if (rule != SDB_RULE_NONE) Tcl_ListObjAppendElement(NULL, names, Tcl_NewStringObj(name, -1));
  }
  Tcl_SetObjResult(interp, names);
  if (objc == 1) return TCL_OK;
  Tcl_SetObjResult(interp, Tcl_NewStringObj("usage: sdb_break ?RULE?; without it, the names of all rules", -1));
  return TCL_ERROR;
}

int sdb_test_breaks_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_break", break_command, NULL, NULL);
  return TCL_OK;
}
