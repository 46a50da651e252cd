/* SPDX-License-Identifier: MIT
**
** commands.c: Tcl commands over os_faults.h and os_sim.h.
**
**   sdb_fault reset                       forget rules, log, counts, crash point
**   sdb_fault add KINDS N ?OPTION ...?    -> rule number.  KINDS: a list of kinds of calls, or "system" (all but
**                                                          malloc),
**                                            "changing", "all".  The Nth such call from now on ...
**       -errno NAME                          fails,        -forever        and every later one too
**       -performed                           fails although it was carried out
**       -piece BYTES                         moves at most so many bytes per system call; with -errno: the first piece
**                                            only
**       -eintr COUNT                         is interrupted so often first
**       -kill before|after                   kills this process
**       -skip                                does nothing and reports success (pwrite, truncate, syncs)
**       -same                                the same, for writes of bytes that already read so
**       -wait                                waits until the rule is removed (let another thread make the call)
**       -lasting                             (the rule stays when others are reset)
**       -file GLOB                           only calls on such files count ("journal", "*.tmp", "." and ".."
**                                            directories)
**   sdb_fault remove RULE | hits RULE | seen RULE
**   sdb_fault count KIND | counts         calls since reset
**   sdb_fault live                        -> {memory N handles N maps N}
**   sdb_fault bytes                       -> {now N peak N} bytes of memory; the peak since reset
**   sdb_fault log start ?KINDS? | stop | get    get -> list of {kind file offset bytes errno}
**   sdb_fault stop N | calls | stopped | go     crash point after N changing calls ("stop count" only counts)
**   sdb_fault random SEED | window BYTES  0 = as the system has it
**   sdb_fault meanwhile WORK SCRIPT       SCRIPT; before each of its system calls WORK is evaluated
**
**   sdb_sim reset | cut SEED | outcomes | nth INDEX | restart | evict | unsynced | failseed SEED | tear BOOL |
**           noise FILE
**   sdb_sim clone -> number | restore NUMBER | free NUMBER | syscalls
**   sdb_sim crashat N                     the same as sdb_fault stop N
**   sdb_sim files DIR                     -> {name {cache BYTES disk BYTES unsynced N} ...}, names of directories end
**                                         in /
**   sdb_sim peek FILE OFFSET BYTES | poke FILE OFFSET DATA | size FILE BYTES
*/
#include "disk/os_faults.h"
#include "disk/os_sim.h"
#include "lib/test_tcl.h"
#include "lib/testfixture.h"

#define CLONES_MAX 4096

static sdb_sim_disk *clones[CLONES_MAX];

/* ---- words ------------------------------------------------------------------------------------------------- */

static int kind_of(Tcl_Interp *interp, Tcl_Obj *word, int *kind) {
  for (*kind = 0; *kind < SDB_CALL_KINDS; ++*kind) {
    if (strcmp(sdb_call_name(*kind), Tcl_GetString(word)) == 0) {
      return TCL_OK;
    }
  }
  Tcl_SetObjResult(interp, Tcl_ObjPrintf("no kind of call: %s", Tcl_GetString(word)));
  return TCL_ERROR;
}

static int kinds_of(Tcl_Interp *interp, Tcl_Obj *words, unsigned *kinds) {
  static const struct {
    const char *name;
    unsigned kinds;
  } groups[] = {{"system", SDB_CALLS_SYSTEM},
                {"changing", SDB_CALLS_CHANGING},
                {"all", SDB_CALLS_SYSTEM | SDB_CALLS_MEMORY},
                {"everything", (1u << SDB_CALL_KINDS) - 1}};
  int count;
  Tcl_Obj **list;
  *kinds = 0;
  if (Tcl_ListObjGetElements(interp, words, &count, &list) != TCL_OK) {
    return TCL_ERROR;
  }
  for (int i = 0; i < count; i++) {
    unsigned found = 0;
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
      found |= strcmp(groups[g].name, Tcl_GetString(list[i])) == 0 ? groups[g].kinds : 0;
    }
    if (found == 0) {
      int kind;
      if (kind_of(interp, list[i], &kind) != TCL_OK) {
        return TCL_ERROR;
      }
      found = SDB_CALL_BIT(kind);
    }
    *kinds |= found;
  }
  return TCL_OK;
}

static int number_result(Tcl_Interp *interp, uint64_t value) {
  Tcl_SetObjResult(interp, sdb_test_wide(value));
  return TCL_OK;
}

/* ---- sdb_fault --------------------------------------------------------------------------------------------- */

static int fault_reset(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)interp, (void)argc, (void)argv;
  sdb_fault_reset();
  return TCL_OK;
}

enum rule_option {
  RULE_EINTR,
  RULE_ERRNO,
  RULE_FILE,
  RULE_FOREVER,
  RULE_KILL,
  RULE_LASTING,
  RULE_PERFORMED,
  RULE_PIECE,
  RULE_SAME,
  RULE_SKIP,
  RULE_WAIT
};

static int rule_value(Tcl_Interp *interp, int option, Tcl_Obj *value, sdb_fault_rule *rule) {
  uint64_t number = 0;
  switch (option) {
    case RULE_ERRNO:
      return sdb_test_errno_of(interp, value, &rule->error);
    case RULE_FILE:
      rule->file = Tcl_GetString(value);
      return TCL_OK;
    case RULE_KILL:
      rule->kill_before = strcmp(Tcl_GetString(value), "before") == 0;
      rule->kill_after = !rule->kill_before;
      return TCL_OK;
    default:
      if (sdb_test_u64(interp, value, &number) != TCL_OK) {
        return TCL_ERROR;
      }
      if (option == RULE_EINTR) {
        rule->interruptions = (unsigned)number;
      } else {
        rule->piece_bytes = (size_t)number;
      }
      return TCL_OK;
  }
}

static int fault_add(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const options[] = {"-eintr",     "-errno", "-file", "-forever", "-kill", "-lasting",
                                        "-performed", "-piece", "-same", "-skip",    "-wait", NULL};
  sdb_fault_rule rule = {0};
  if (kinds_of(interp, argv[0], &rule.kinds) != TCL_OK || sdb_test_u64(interp, argv[1], &rule.nth) != TCL_OK) {
    return TCL_ERROR;
  }
  for (int i = 2; i < argc; i++) {
    int option;
    if (Tcl_GetIndexFromObj(interp, argv[i], options, "option", TCL_EXACT, &option) != TCL_OK) {
      return TCL_ERROR;
    }
    rule.forever |= option == RULE_FOREVER;
    rule.performed |= option == RULE_PERFORMED;
    rule.lasting |= option == RULE_LASTING;
    rule.skip |= option == RULE_SKIP;
    rule.wait |= option == RULE_WAIT;
    rule.skip_same |= option == RULE_SAME;
    if (option != RULE_EINTR && option != RULE_ERRNO && option != RULE_FILE && option != RULE_KILL &&
        option != RULE_PIECE) {
      continue;
    }
    if (++i == argc) {
      Tcl_SetObjResult(interp, Tcl_ObjPrintf("%s wants a value", options[option]));
      return TCL_ERROR;
    }
    if (rule_value(interp, option, argv[i], &rule) != TCL_OK) {
      return TCL_ERROR;
    }
  }
  return number_result(interp, (uint64_t)sdb_fault_add(&rule));
}

static int fault_remove(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  int number;
  (void)argc;
  if (Tcl_GetIntFromObj(interp, argv[0], &number) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_fault_remove(number);
  return TCL_OK;
}

static int rule_count(Tcl_Interp *interp, Tcl_Obj *word, bool want_seen) {
  int number;
  uint64_t seen = 0;
  if (Tcl_GetIntFromObj(interp, word, &number) != TCL_OK) {
    return TCL_ERROR;
  }
  uint64_t hits = sdb_fault_hits(number, &seen);
  return number_result(interp, want_seen ? seen : hits);
}

static int fault_hits(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return rule_count(interp, argv[0], false);
}

static int fault_seen(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return rule_count(interp, argv[0], true);
}

static int fault_count(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  int kind;
  (void)argc;
  if (kind_of(interp, argv[0], &kind) != TCL_OK) {
    return TCL_ERROR;
  }
  return number_result(interp, sdb_fault_count(kind));
}

static void append_pair(Tcl_Obj *list, const char *key, uint64_t value) {
  Tcl_ListObjAppendElement(NULL, list, Tcl_NewStringObj(key, -1));
  Tcl_ListObjAppendElement(NULL, list, sdb_test_wide(value));
}

static int fault_counts(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  (void)argc, (void)argv;
  for (int kind = 0; kind < SDB_CALL_KINDS; kind++) {
    append_pair(list, sdb_call_name(kind), sdb_fault_count(kind));
  }
  Tcl_SetObjResult(interp, list);
  return TCL_OK;
}

static int fault_live(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  sdb_fault_lives lives;
  (void)argc, (void)argv;
  sdb_fault_live(&lives);
  append_pair(list, "memory", (uint64_t)lives.memory);
  append_pair(list, "handles", (uint64_t)lives.handles);
  append_pair(list, "maps", (uint64_t)lives.maps);
  Tcl_SetObjResult(interp, list);
  return TCL_OK;
}

static int fault_bytes(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  int64_t now, peak;
  (void)argc, (void)argv;
  sdb_fault_bytes(&now, &peak);
  append_pair(list, "now", (uint64_t)now);
  append_pair(list, "peak", (uint64_t)peak);
  Tcl_SetObjResult(interp, list);
  return TCL_OK;
}

static Tcl_Obj *call_as_list(const sdb_call *call) {
  Tcl_Obj *words[] = {Tcl_NewStringObj(sdb_call_name(call->kind), -1), Tcl_NewStringObj(call->file, -1),
                      sdb_test_wide(call->offset), sdb_test_wide(call->bytes),
                      Tcl_NewStringObj(sdb_test_errno_name(call->error), -1)};
  return Tcl_NewListObj(5, words);
}

static int fault_log(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  static const char *const actions[] = {"start", "stop", "get", NULL};
  int action;
  unsigned kinds = SDB_CALLS_SYSTEM;
  if (Tcl_GetIndexFromObj(interp, argv[0], actions, "action", TCL_EXACT, &action) != TCL_OK ||
      (argc == 2 && kinds_of(interp, argv[1], &kinds) != TCL_OK)) {
    return TCL_ERROR;
  }
  if (action == 0) {
    sdb_fault_log_start(kinds);
  } else if (action == 1) {
    sdb_fault_log_start(0);
  } else {
    Tcl_Obj *list = Tcl_NewListObj(0, NULL);
    sdb_call call;
    for (size_t i = 0; sdb_fault_log_get(i, &call); i++) {
      Tcl_ListObjAppendElement(NULL, list, call_as_list(&call));
    }
    Tcl_SetObjResult(interp, list);
  }
  return TCL_OK;
}

static int fault_stop(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t calls = UINT64_MAX;
  (void)argc;
  if (strcmp(Tcl_GetString(argv[0]), "count") != 0 && sdb_test_u64(interp, argv[0], &calls) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_fault_stop_start(calls);
  return TCL_OK;
}

static int fault_calls(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  return number_result(interp, sdb_fault_stop_calls());
}

static int fault_stopped(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  return number_result(interp, sdb_fault_stopped());
}

static int fault_go(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)interp, (void)argc, (void)argv;
  sdb_fault_stop_end();
  return TCL_OK;
}

/* One number handed to a function that cannot fail. */
static int set_number(Tcl_Interp *interp, Tcl_Obj *word, void (*set)(uint64_t value)) {
  uint64_t value;
  if (sdb_test_u64(interp, word, &value) != TCL_OK) {
    return TCL_ERROR;
  }
  set(value);
  return TCL_OK;
}

static int fault_random(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return set_number(interp, argv[0], sdb_fault_set_random);
}

static int fault_window(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return set_number(interp, argv[0], sdb_fault_set_map_window);
}

/* ---- work between the calls of a script */

struct meanwhile {
  Tcl_Interp *interp;
  Tcl_Obj *work;
  bool inside;
  uint64_t accesses; /* to memory that processes share; these are no system calls, and come under locks */
  Tcl_Obj *failure;  /* of the work; NULL: none */
};

static void meanwhile_point(void *context) {
  struct meanwhile *m = context;
  uint64_t accesses = sdb_fault_accesses();
  bool access = accesses != m->accesses;
  m->accesses = accesses;
  if (access || m->inside || m->failure) {
    return;
  }
  m->inside = true;
  if (Tcl_EvalObjEx(m->interp, m->work, TCL_EVAL_GLOBAL) != TCL_OK) {
    m->failure = Tcl_GetObjResult(m->interp);
    Tcl_IncrRefCount(m->failure);
  }
  m->inside = false;
  m->accesses = sdb_fault_accesses();
}

static void meanwhile_sleep(void *context, uint64_t ms) {
  (void)context;
  sdb_real_give_way(ms > 0);
}

static uint64_t meanwhile_now_ms(void *context) {
  (void)context;
  return sdb_real_now_ms();
}

static uint64_t meanwhile_pid(void *context) {
  (void)context;
  return sdb_real_pid();
}

static int fault_meanwhile(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  struct meanwhile m = {.interp = interp, .work = argv[0], .accesses = sdb_fault_accesses()};
  const sdb_fault_scheduler between = {meanwhile_point, meanwhile_sleep, meanwhile_now_ms, meanwhile_pid, &m};
  (void)argc;
  sdb_fault_set_scheduler(&between);
  int code = Tcl_EvalObjEx(interp, argv[1], 0);
  sdb_fault_set_scheduler(NULL);
  if (m.failure) {
    Tcl_SetObjResult(interp, m.failure);
    Tcl_DecrRefCount(m.failure);
    code = TCL_ERROR;
  }
  return code;
}

static const sdb_test_sub fault_subs[] = {{"add", 2, -1, "kinds n ?option ...?", fault_add},
                                          {"bytes", 0, 0, NULL, fault_bytes},
                                          {"calls", 0, 0, NULL, fault_calls},
                                          {"count", 1, 1, "kind", fault_count},
                                          {"counts", 0, 0, NULL, fault_counts},
                                          {"go", 0, 0, NULL, fault_go},
                                          {"hits", 1, 1, "rule", fault_hits},
                                          {"live", 0, 0, NULL, fault_live},
                                          {"log", 1, 2, "start|stop|get ?kinds?", fault_log},
                                          {"meanwhile", 2, 2, "work script", fault_meanwhile},
                                          {"random", 1, 1, "seed", fault_random},
                                          {"remove", 1, 1, "rule", fault_remove},
                                          {"reset", 0, 0, NULL, fault_reset},
                                          {"seen", 1, 1, "rule", fault_seen},
                                          {"stop", 1, 1, "calls", fault_stop},
                                          {"stopped", 0, 0, NULL, fault_stopped},
                                          {"window", 1, 1, "bytes", fault_window},
                                          {NULL, 0, 0, NULL, NULL}};

/* ---- sdb_sim ----------------------------------------------------------------------------------------------- */

static int sim_reset(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)interp, (void)argc, (void)argv;
  sdb_sim_reset();
  return TCL_OK;
}

static int sim_cut(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return set_number(interp, argv[0], sdb_sim_cut);
}

static int sim_nth(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return set_number(interp, argv[0], sdb_sim_cut_nth);
}

static int sim_fail_seed(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc;
  return set_number(interp, argv[0], sdb_sim_set_fail_seed);
}

static int sim_outcomes(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  return number_result(interp, sdb_sim_outcomes());
}

static int sim_restart(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)interp, (void)argc, (void)argv;
  sdb_sim_restart();
  return TCL_OK;
}

static int sim_evict(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)interp, (void)argc, (void)argv;
  sdb_sim_evict();
  return TCL_OK;
}

static int sim_unsynced(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  return number_result(interp, sdb_sim_unsynced());
}

static int sim_tear(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  int on;
  (void)argc;
  if (Tcl_GetBooleanFromObj(interp, argv[0], &on) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_sim_set_tear_bytes(on != 0);
  return TCL_OK;
}

static int sim_noise(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)interp, (void)argc;
  sdb_sim_set_noise_file(Tcl_GetString(argv[0]));
  return TCL_OK;
}

static int sim_clone(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  (void)argc, (void)argv;
  for (size_t i = 1; i < CLONES_MAX; i++) {
    if (clones[i] == NULL) {
      clones[i] = sdb_sim_clone();
      return number_result(interp, i);
    }
  }
  Tcl_SetObjResult(interp, Tcl_NewStringObj("too many clones", -1));
  return TCL_ERROR;
}

static int clone_of(Tcl_Interp *interp, Tcl_Obj *word, uint64_t *number) {
  if (sdb_test_u64(interp, word, number) != TCL_OK) {
    return TCL_ERROR;
  }
  if (*number >= CLONES_MAX || clones[*number] == NULL) {
    Tcl_SetObjResult(interp, Tcl_NewStringObj("no such clone", -1));
    return TCL_ERROR;
  }
  return TCL_OK;
}

static int sim_restore(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t number;
  (void)argc;
  if (clone_of(interp, argv[0], &number) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_sim_restore(clones[number]);
  return TCL_OK;
}

static int sim_free(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t number;
  (void)argc;
  if (clone_of(interp, argv[0], &number) != TCL_OK) {
    return TCL_ERROR;
  }
  sdb_sim_free(clones[number]);
  clones[number] = NULL;
  return TCL_OK;
}

static int sim_files(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  Tcl_Obj *list = Tcl_NewListObj(0, NULL);
  sdb_sim_entry entry;
  int error = 0;
  (void)argc;
  for (size_t i = 0; (error = sdb_sim_list(Tcl_GetString(argv[0]), i, &entry)) == 0; i++) {
    Tcl_Obj *sizes = Tcl_NewListObj(0, NULL);
    append_pair(sizes, "cache", entry.cache_bytes);
    append_pair(sizes, "disk", entry.disk_bytes);
    append_pair(sizes, "unsynced", entry.unsynced);
    Tcl_ListObjAppendElement(NULL, list, Tcl_ObjPrintf("%s%s", entry.name, entry.is_dir ? "/" : ""));
    Tcl_ListObjAppendElement(NULL, list, sizes);
  }
  if (error != ERANGE) {
    Tcl_DecrRefCount(list);
    return sdb_test_errno(interp, error);
  }
  Tcl_SetObjResult(interp, list);
  return TCL_OK;
}

static int sim_peek(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t offset, bytes;
  size_t got = 0;
  (void)argc;
  if (sdb_test_u64(interp, argv[1], &offset) != TCL_OK || sdb_test_u64(interp, argv[2], &bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  Tcl_Obj *result = Tcl_NewByteArrayObj(NULL, (int)bytes);
  int error = sdb_sim_peek(Tcl_GetString(argv[0]), offset, Tcl_GetByteArrayFromObj(result, NULL), (size_t)bytes, &got);
  Tcl_SetByteArrayLength(result, (int)got);
  Tcl_SetObjResult(interp, result);
  return sdb_test_errno(interp, error);
}

static int sim_poke(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t offset;
  int bytes;
  (void)argc;
  const unsigned char *data = Tcl_GetByteArrayFromObj(argv[2], &bytes);
  if (sdb_test_u64(interp, argv[1], &offset) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_sim_poke(Tcl_GetString(argv[0]), offset, data, (size_t)bytes));
}

static int sim_size(Tcl_Interp *interp, int argc, Tcl_Obj *const argv[]) {
  uint64_t bytes;
  (void)argc;
  if (sdb_test_u64(interp, argv[1], &bytes) != TCL_OK) {
    return TCL_ERROR;
  }
  return sdb_test_errno(interp, sdb_sim_set_size(Tcl_GetString(argv[0]), bytes));
}

static const sdb_test_sub sim_subs[] = {{"clone", 0, 0, NULL, sim_clone},
                                        {"crashat", 1, 1, "calls", fault_stop},
                                        {"cut", 1, 1, "seed", sim_cut},
                                        {"evict", 0, 0, NULL, sim_evict},
                                        {"failseed", 1, 1, "seed", sim_fail_seed},
                                        {"files", 1, 1, "directory", sim_files},
                                        {"free", 1, 1, "clone", sim_free},
                                        {"noise", 1, 1, "file", sim_noise},
                                        {"nth", 1, 1, "index", sim_nth},
                                        {"outcomes", 0, 0, NULL, sim_outcomes},
                                        {"peek", 3, 3, "file offset bytes", sim_peek},
                                        {"poke", 3, 3, "file offset data", sim_poke},
                                        {"reset", 0, 0, NULL, sim_reset},
                                        {"restart", 0, 0, NULL, sim_restart},
                                        {"restore", 1, 1, "clone", sim_restore},
                                        {"size", 2, 2, "file bytes", sim_size},
                                        {"syscalls", 0, 0, NULL, fault_calls},
                                        {"tear", 1, 1, "bool", sim_tear},
                                        {"unsynced", 0, 0, NULL, sim_unsynced},
                                        {NULL, 0, 0, NULL, NULL}};

int sdb_test_faults_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_fault", sdb_test_dispatch, (ClientData)(uintptr_t)fault_subs, NULL);
  Tcl_CreateObjCommand(interp, "sdb_sim", sdb_test_dispatch, (ClientData)(uintptr_t)sim_subs, NULL);
  return TCL_OK;
}
