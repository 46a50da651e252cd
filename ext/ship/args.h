/* SPDX-License-Identifier: MIT
**
** args.h: the command line.
*/
#ifndef SHIP_ARGS_H
#define SHIP_ARGS_H

#include "ship.h"

typedef struct args_command {
  const char *name;
  const char *form;    /* its arguments, for help */
  const char *what;    /* one line */
  const char *order;   /* of its arguments: d database, t table, c carrier; capitals may be left out */
  const char *options; /* names, with blanks between */
  ship_status (*run)(ship *s);
} args_command;

/* Fills *options and *command.  SHIP_OK with *command NULL: help or version was asked for, and printed. */
ship_status args_read(int argc, char **argv, ship_options *options, const args_command **command);

#endif /* SHIP_ARGS_H */
