/* SPDX-License-Identifier: MIT
**
** rig_tcl.c: the rig of crash/rig.c as a Tcl command.
**
**   sdb_rig SEED STEPS OUTCOMES ?FAULTS? ?PROFILE?  ->  dict: calls, outcomes, recuts, lives, commits, faults,
**                                                      listed
**   sdb_rig profiles                                ->  their names
**
** A counterexample is a Tcl error.
*/
#include <stdlib.h>
#include <string.h>
#include <tcl.h>
#include "crash/rig.h"
#include "lib/testfixture.h"

static int profiles(Tcl_Interp *interp) {
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  for (int i = 0; rig_profile_name(i); i++)
    Tcl_ListObjAppendElement(NULL, list, Tcl_NewStringObj(rig_profile_name(i), -1));
  Tcl_SetObjResult(interp, list);
  return TCL_OK;
}

static int profile_of(Tcl_Interp *interp, Tcl_Obj *word, enum rig_profile *profile) {
  for (int i = 0; rig_profile_name(i); i++)
    if (strcmp(rig_profile_name(i), Tcl_GetString(word)) == 0) {
      *profile = (enum rig_profile)i;
      return TCL_OK;
    }
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("no profile: %s", Tcl_GetString(word)));
  return TCL_ERROR;
}

static int rig_command(ClientData unused, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  Tcl_WideInt seed;
  int steps, outcomes, faults = 0, result = TCL_OK;
  enum rig_profile profile = RIG_MIX;
  (void)unused;
  if (objc == 2 && strcmp(Tcl_GetString(objv[1]), "profiles") == 0) return profiles(interp);
  if (objc < 4 || objc > 6) {
    Tcl_WrongNumArgs(interp, 1, objv, "SEED STEPS OUTCOMES ?FAULTS? ?PROFILE?");
    return TCL_ERROR;
  }
  if (Tcl_GetWideIntFromObj(interp, objv[1], &seed) != TCL_OK || Tcl_GetIntFromObj(interp, objv[2], &steps) != TCL_OK ||
      Tcl_GetIntFromObj(interp, objv[3], &outcomes) != TCL_OK ||
      (objc > 4 && Tcl_GetIntFromObj(interp, objv[4], &faults) != TCL_OK) ||
      (objc > 5 && profile_of(interp, objv[5], &profile) != TCL_OK))
    return TCL_ERROR;
  rig *r = calloc(1, sizeof *r);
  if (!r) abort();
  r->seed = (uint64_t)seed;
  r->fault_rate = (unsigned)faults;
  r->profile = profile;
  rig_play(r, steps, (uint64_t)outcomes);
  if (r->failure[0]) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj(r->failure, -1));
    result = TCL_ERROR;
  } else {
    Tcl_SetObjResult(interp, Tcl_ObjPrintf("calls %d outcomes %d recuts %d lives %d commits %d faults %d listed %d",
                                           (int)r->calls, (int)r->outcomes, (int)r->recuts, (int)r->lives,
                                           (int)r->commits, (int)r->faults, (int)r->listed));
  }
  free(r);
  return result;
}

int sdb_test_engine_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_rig", rig_command, NULL, NULL);
  return TCL_OK;
}
