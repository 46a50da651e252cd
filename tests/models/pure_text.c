/* SPDX-License-Identifier: MIT
**
** pure_text.c: names against decoding by arithmetic; the texts of error.c.
**
**   sdb_utf8_exhaustive    every 1-, 2- and 3-byte string, the 4-byte ones at their borders, every code point: accepted
**                          or refused as the model says.  Result: strings tried
**   sdb_name_check NAME               -> "" or {at N why TEXT}
**   sdb_error_text CODE OPERATION FILE TEXT ?ERRNO? -> {code operation file os_errno message}
**   sdb_nomem_text ?OPERATION? -> the message that memory has run out
**   sdb_quoted NAME, sdb_code_text CODE -> text
**
** THREADS: the interpreter's.
*/
#include "models/pure.h"

#include "base/error.h"

/* ---- names ---- */

/* By arithmetic: collect the bits, then look at the value.  0 if the bytes are no character, else its bytes. */
static size_t model_char(const uint8_t *p, size_t bytes, uint32_t *point) {
  static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
  size_t count = p[0] < 0x80             ? 1
                 : (p[0] & 0xE0) == 0xC0 ? 2
                 : (p[0] & 0xF0) == 0xE0 ? 3
                 : (p[0] & 0xF8) == 0xF0 ? 4
                                         : 0;
  if (count == 0 || count > bytes) return 0;
  *point = count == 1 ? p[0] : p[0] & (0x7Fu >> count);
  for (size_t i = 1; i < count; i++) {
    if (p[i] >> 6 != 2) return 0;
    *point = *point << 6 | (p[i] & 0x3F);
  }
  if (*point < least[count] || *point > 0x10FFFF || (*point >= 0xD800 && *point <= 0xDFFF)) return 0;
  return count;
}

bool sdb_test_name_good(const uint8_t *name, size_t bytes) {
  if (bytes == 0 || bytes > 1024) return false;
  for (size_t i = 0; i < bytes;) {
    uint32_t point = 0;
    size_t count = model_char(name + i, bytes - i, &point);
    if (count == 0 || point < 32 || point == 127) return false;
    i += count;
  }
  return true;
}

static size_t put_char(uint8_t *p, uint32_t point) {
  size_t count = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  for (size_t i = count; i-- > 1; point >>= 6)
    p[i] = (uint8_t)(0x80 | (point & 0x3F));
  uint32_t lead = count == 1 ? 0 : 0xF00u >> count & 0xFF;
  p[0] = (uint8_t)(lead | point);
  return count;
}

size_t sdb_test_random_name(sdb_test_random *random, char name[1024], size_t most) {
  size_t bytes = 0, wanted = 1 + (size_t)sdb_test_below(random, sdb_test_below(random, 4) == 0 ? most : 20);
  if (wanted > most) wanted = most;
  while (bytes < wanted) {
    static const uint32_t bound[4] = {0x80, 0x800, 0x10000, 0x110000};
    uint32_t point = (uint32_t)sdb_test_below(random, wanted - bytes < 4 ? 0x80 : bound[sdb_test_below(random, 4)]);
    if (point < 32 || point == 127 || (point >= 0xD800 && point <= 0xDFFF)) continue;
    bytes += put_char((uint8_t *)name + bytes, point);
  }
  return bytes;
}

static bool name_agrees(const uint8_t *name, size_t bytes) {
  size_t at = bytes + 1;
  bool good = sdb_name_problem((const char *)name, bytes, &at) == NULL;
  return good == sdb_test_name_good(name, bytes) && (good || at <= bytes);
}

static const char *utf8_all(uint64_t *tried) {
  static const uint8_t edges[] = {0, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  uint8_t p[4];
  for (uint32_t bits = 0; bits < 1u << 24; bits++, ++*tried) {
    size_t bytes = bits < 1u << 8 ? 1 : bits < 1u << 16 ? 2 : 3;
    for (size_t i = 0; i < 3; i++)
      p[i] = (uint8_t)(bits >> 8 * (bytes - 1 - SDB_MIN(i, bytes - 1)));
    if (!name_agrees(p, bytes)) return "a name of up to three bytes";
  }
  for (uint32_t bits = 0; bits < 1u << 16; bits++) {
    for (size_t i = 0; i < sizeof edges * sizeof edges; i++, ++*tried) {
      p[0] = (uint8_t)(bits >> 8);
      p[1] = (uint8_t)bits;
      p[2] = edges[i / sizeof edges];
      p[3] = edges[i % sizeof edges];
      if (!name_agrees(p, 4)) return "a name of four bytes";
    }
  }
  for (uint32_t point = 0; point < 0x110000; point++, ++*tried) {
    bool good = point >= 32 && point != 127 && (point < 0xD800 || point > 0xDFFF);
    size_t bytes = put_char(p, point);
    if ((sdb_name_problem((const char *)p, bytes, NULL) == NULL) != good) return "a code point";
  }
  return NULL;
}

static int utf8_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  uint64_t tried = 0;
  (void)data, (void)objc, (void)objv;
  const char *problem = utf8_all(&tried);
  return sdb_test_report(interp, 0, tried, problem, tried);
}

/* ---- names and errors ---- */

static int name_check_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int bytes = 0;
  size_t at = 0;
  (void)data;
  if (objc != 2) {
    Tcl_WrongNumArgs(interp, 1, objv, "NAME");
    return TCL_ERROR;
  }
  const char *name = (const char *)Tcl_GetByteArrayFromObj(objv[1], &bytes);
  const char *problem = sdb_name_problem(name, (size_t)bytes, &at);
  if (problem == NULL) return TCL_OK;
  Tcl_Obj *result = Tcl_NewDictObj();
  sdb_test_put(result, "at", Tcl_NewWideIntObj((Tcl_WideInt)at));
  sdb_test_put(result, "why", Tcl_NewStringObj(problem, -1));
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

static int error_text_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int code, os_errno = 0, bytes = 0;
  seqdb_error e = SEQDB_ERROR_INIT;
  (void)data;
  if (objc < 5 || objc > 6) {
    Tcl_WrongNumArgs(interp, 1, objv, "CODE OPERATION FILE TEXT ?ERRNO?");
    return TCL_ERROR;
  }
  if (Tcl_GetIntFromObj(interp, objv[1], &code) != TCL_OK) return TCL_ERROR;
  if (objc == 6 && Tcl_GetIntFromObj(interp, objv[5], &os_errno) != TCL_OK) return TCL_ERROR;
  const char *operation = Tcl_GetString(objv[2]), *file = Tcl_GetString(objv[3]);
  char *text = (char *)Tcl_GetByteArrayFromObj(objv[4], &bytes);
  sdb_op op = {operation, &e}, unheard = {operation, NULL};
  memset(&e, 0xAA, sizeof e);
  if (objc == 6) {
    code = sdb_error_os(&op, os_errno, file, 7, "%.*s", bytes, text);
    if (sdb_error_os(&unheard, os_errno, file, 7, "%.*s", bytes, text) != code)
      return sdb_test_fail(interp, "NULL record");
  } else {
    code = sdb_error_set(&op, code, file, 7, "%.*s", bytes, text);
    if (sdb_error_set(&unheard, code, file, 7, "%.*s", bytes, text) != code)
      return sdb_test_fail(interp, "NULL record");
  }
  if (code != e.code || e.offset != 7) return sdb_test_fail(interp, "the record has another code or offset");
  Tcl_Obj *result = Tcl_NewDictObj();
  sdb_test_put(result, "code", Tcl_NewIntObj(code));
  sdb_test_put(result, "operation", Tcl_NewStringObj(e.operation, -1));
  sdb_test_put(result, "file", Tcl_NewStringObj(e.file, -1));
  sdb_test_put(result, "os_errno", Tcl_NewIntObj(e.os_errno));
  sdb_test_put(result, "message", Tcl_NewByteArrayObj((uint8_t *)e.message, (int)strlen(e.message)));
  Tcl_SetObjResult(interp, result);
  return TCL_OK;
}

static int quoted_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  char out[SDB_QUOTED_MAX];
  int bytes = 0;
  (void)data;
  if (objc != 2) {
    Tcl_WrongNumArgs(interp, 1, objv, "NAME");
    return TCL_ERROR;
  }
  const char *name = (const char *)Tcl_GetByteArrayFromObj(objv[1], &bytes);
  memset(out, 0xAA, sizeof out);
  sdb_quote_name(name, (size_t)bytes, out);
  Tcl_SetObjResult(interp, Tcl_NewByteArrayObj((uint8_t *)out, (int)strlen(out)));
  return TCL_OK;
}

static int nomem_text_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  seqdb_error e = SEQDB_ERROR_INIT;
  (void)data;
  if (objc != 2) return TCL_ERROR;
  sdb_op op = {Tcl_GetString(objv[1]), &e};
  if (sdb_error_nomem(&op) != SEQDB_NOMEM) return TCL_ERROR;
  Tcl_SetObjResult(interp, Tcl_NewStringObj(e.message, -1));
  return TCL_OK;
}

static int code_text_cmd(ClientData data, Tcl_Interp *interp, int objc, Tcl_Obj *const objv[]) {
  int code;
  (void)data;
  if (objc != 2) {
    Tcl_WrongNumArgs(interp, 1, objv, "CODE");
    return TCL_ERROR;
  }
  if (Tcl_GetIntFromObj(interp, objv[1], &code) != TCL_OK) return TCL_ERROR;
  Tcl_SetObjResult(interp, Tcl_NewStringObj(sdb_strerror(code), -1));
  return TCL_OK;
}

void sdb_test_text_init(Tcl_Interp *interp) {
  Tcl_CreateObjCommand(interp, "sdb_utf8_exhaustive", utf8_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_name_check", name_check_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_error_text", error_text_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_quoted", quoted_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_code_text", code_text_cmd, NULL, NULL);
  Tcl_CreateObjCommand(interp, "sdb_nomem_text", nomem_text_cmd, NULL, NULL);
}
