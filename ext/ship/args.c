/* SPDX-License-Identifier: MIT
**
** args.c: see args.h.
*/
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "args.h"
#include "base.h"
#include "follow.h"
#include "prune.h"
#include "publish.h"
#include "status.h"

#ifndef SHIP_VERSION
#define SHIP_VERSION "unknown"
#endif

static const args_command commands[] = {
    {"publish", "DATABASE TABLE CARRIER", "ship what is new, as long as it runs; a first base, too", "dtc",
     "every report give-up base-every take-over new-chain once", publish_command},
    {"follow", "CARRIER DATABASE TABLE",
     "take what is shipped, as long as it runs; makes the database if it is missing", "cdt",
     "report give-up gap-after auto-base until once", follow_command},
    {"restore", "CARRIER DATABASE TABLE", "make a database from the newest base and all changes after it", "cdt",
     "report give-up gap-after", restore_command},
    {"base", "DATABASE TABLE CARRIER", "ship all of the database once more, beside a publisher", "dtc",
     "report give-up", base_command},
    {"prune", "CARRIER", "remove what is older than the bases that are kept", "c",
     "keep-bases keep-days dry-run report give-up", prune_command},
    {"status", "CARRIER [DATABASE TABLE]", "what is published, by whom, and how far a database is from it, as JSON",
     "cDT", "give-up", status_command},
};

#define STATUS_GIVE_UP_S 5 /* who asks how it is wants an answer */

typedef struct option {
  const char *name, *value, *what;
  size_t number, flag; /* where in ship_options; 0: not this kind */
  int64_t least, most;
} option;

#define NUMBER(field) offsetof(ship_options, field), 0
#define FLAG(field)   0, offsetof(ship_options, field), 0, 0

static const option known[] = {
    {"every", "MS", "at least so long between two objects (100)", NUMBER(every_ms), 0, 3600000},
    {"base-every", "S", "make a new base so often (0: never)", NUMBER(base_every_s), 0, 1000000000},
    {"take-over", NULL, "take the place of a publisher that may still run; it stops then", FLAG(take_over)},
    {"new-chain", NULL, "this database takes the place of the one that was published here", FLAG(new_chain)},
    {"auto-base", NULL, "after a gap, take the newest base in place of all that is here", FLAG(auto_base)},
    {"gap-after", "S", "a missing or damaged object is lost after this time (10)", NUMBER(gap_after_s), 1, 1000000},
    {"until", "GENERATION", "end when this generation is reached", NUMBER(until), 0, INT64_MAX},
    {"once", NULL, "end when nothing is new", FLAG(once)},
    {"keep-bases", "N", "keep the newest N bases that are whole (2)", NUMBER(keep_bases), 1, 1000000},
    {"keep-days", "N", "and those made in the last N days (0)", NUMBER(keep_days), 0, 1000000},
    {"dry-run", NULL, "remove nothing, only count", FLAG(dry_run)},
    {"report", "S", "a line of progress on stderr so often (10; 0: none)", NUMBER(report_s), 0, 1000000},
    {"give-up", "S", "end if the carrier is away for so long (0: never; status: 5)", NUMBER(give_up_s), 0, 1000000000},
};
#define KNOWN (sizeof known / sizeof known[0])

/* ---- help ----------------------------------------------------------------------------------------------------- */

static bool takes(const args_command *command, const char *name) {
  size_t bytes = strlen(name);
  for (const char *at = command->options; (at = strstr(at, name)); at += bytes) {
    bool begins = at == command->options || at[-1] == ' ';
    if (begins && (at[bytes] == ' ' || at[bytes] == '\0')) return true;
  }
  return false;
}

static void print_option(const option *o) {
  char left[64];
  snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
  printf("  %-22s %s\n", left, o->what);
}

static void help_on(const args_command *command) {
  printf("usage: seqdb-ship %s [OPTIONS] %s\n\n  %s\n\n", command->name, command->form, command->what);
  for (size_t i = 0; i < KNOWN; i++) {
    if (takes(command, known[i].name)) print_option(&known[i]);
  }
}

static void help(void) {
  printf("seqdb-ship ships the changes of a seqdb table, and of the rows that go with it, to other machines.\n\n");
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
    printf("  seqdb-ship %-8s %-26s %s\n", commands[i].name, commands[i].form, commands[i].what);
  printf("\n  DATABASE  an SQLite file       TABLE  a seqdb table in it\n  CARRIER   ");
  for (const carrier_calls *const *kind = carrier_kinds; *kind; kind++)
    printf("%s%s", kind == carrier_kinds ? "" : " or ", (*kind)->form);
  printf(
      "\n\nOptions of a command: seqdb-ship COMMAND --help.\n"
      "Status: 0 done, publish and follow: or ended by a signal; 1 failed; 2 wrong usage; 3 refused: another "
      "publisher, another chain;\n"
      "4 a newer base is needed; 5 another publisher has taken over; 6 the carrier was away for too long.\n");
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

static ship_status wrong(const char *what, const char *word, const char *how) {
  fprintf(stderr, "seqdb-ship: %s '%s'%s%s\n", what, word, how[0] ? ": " : "", how);
  return SHIP_USAGE;
}

static const option *find_option(const char *name) {
  for (size_t i = 0; i < KNOWN; i++) {
    if (strcmp(known[i].name, name) == 0) return &known[i];
  }
  return NULL;
}

static ship_status read_number(const option *o, const char *text, int64_t *number) {
  char how[128], *end = NULL;
  errno = 0;
  long long value = text[0] ? strtoll(text, &end, 10) : 0;
  if (text[0] && !*end && !errno && value >= o->least && value <= o->most) {
    *number = value;
    return SHIP_OK;
  }
  snprintf(how, sizeof how, "--%s wants a whole number from %lld to %lld", o->name, (long long)o->least,
           (long long)o->most);
  return wrong("no good number", text, how);
}

/* argv[*at] is an option; its value may be the next word. */
static ship_status read_option(const args_command *command, char **argv, int *at, ship_options *options) {
  char name[64];
  const char *equals = strchr(argv[*at], '='), *value = equals ? equals + 1 : NULL;
  int bytes = (int)(equals ? equals - argv[*at] : (long)strlen(argv[*at])) - 2;
  snprintf(name, sizeof name, "%.*s", bytes, argv[*at] + 2);
  const option *o = find_option(name);
  if (!o || !takes(command, name)) return wrong("unknown option", argv[*at], "see --help of the command");
  if (o->flag) {
    if (value) return wrong("a value too many", argv[*at], "this option has none");
    *(bool *)((char *)options + o->flag) = true;
    return SHIP_OK;
  }
  if (!value) value = argv[*at + 1] ? argv[++*at] : "";
  return read_number(o, value, (int64_t *)((char *)options + o->number));
}

static ship_status take_argument(const args_command *command, size_t index, const char *word, ship_options *options) {
  if (index >= strlen(command->order)) return wrong("a word too many", word, command->form);
  if (!word[0]) return wrong("an empty word", word, command->form);
  switch (command->order[index]) {
    case 'd':
    case 'D':
      options->database = word;
      break;
    case 't':
    case 'T':
      options->table = word;
      break;
    default:
      options->carrier = word;
      break;
  }
  return SHIP_OK;
}

/* Those that may be left out are all there, or none. */
static ship_status check_arguments(const args_command *command, size_t count) {
  size_t needed = strcspn(command->order, "DT");
  if (count == strlen(command->order) || count == needed) return SHIP_OK;
  fprintf(stderr, "seqdb-ship: %s needs %s\n", command->name, command->form);
  return SHIP_USAGE;
}

static ship_status read_words(const args_command *command, char **argv, ship_options *options, bool *helped) {
  size_t count = 0;
  bool only_words = false;
  ship_status status = SHIP_OK;
  for (int at = 2; argv[at] && !status && !*helped; at++) {
    if (!only_words && strcmp(argv[at], "--help") == 0) {
      help_on(command);
      *helped = true;
    } else if (!only_words && strcmp(argv[at], "--") == 0) {
      only_words = true;
    } else if (!only_words && strncmp(argv[at], "--", 2) == 0) {
      status = read_option(command, argv, &at, options);
    } else {
      status = take_argument(command, count++, argv[at], options);
    }
  }
  return status || *helped ? status : check_arguments(command, count);
}

static const args_command *find_command(const char *name) {
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
  }
  return NULL;
}

static bool is_one_of(const char *word, const char *a, const char *b) {
  return strcmp(word, a) == 0 || strcmp(word, b) == 0;
}

ship_status args_read(int argc, char **argv, ship_options *options, const args_command **command) {
  bool helped = false;
  *options = (ship_options){.every_ms = 100, .report_s = 10, .gap_after_s = 10, .keep_bases = 2, .until = -1};
  *command = NULL;
  if (argc < 2) return wrong("no command", "", "seqdb-ship --help lists them");
  if (is_one_of(argv[1], "--help", "help") || is_one_of(argv[1], "-h", "--version")) {
    if (strcmp(argv[1], "--version") == 0) {
      printf("seqdb-ship %s\n", SHIP_VERSION);
    } else {
      help();
    }
    return SHIP_OK;
  }
  const args_command *found = find_command(argv[1]);
  if (!found) return wrong("unknown command", argv[1], "seqdb-ship --help lists them");
  options->command = found->name;
  options->once = found->run == restore_command;
  if (found->run == status_command) options->give_up_s = STATUS_GIVE_UP_S;
  ship_status status = read_words(found, argv, options, &helped);
  if (!status && !helped) *command = found;
  return status;
}
