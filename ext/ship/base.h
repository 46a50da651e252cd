/* SPDX-License-Identifier: MIT
**
** base.h: making a base: all of the database as of one commit, and the head that says so.
*/
#ifndef SHIP_BASE_H
#define SHIP_BASE_H

#include "source.h"

/* Of what. */
typedef struct base_for {
  ship *s;
  ship_source *source;
  const char *chain; /* it is to be of this one, still */
  uint64_t epoch;
} base_for;

/* Makes one.  `chain_goes_on`: objects may follow from where the chain ends now; else it starts again with the base.
** *made: its head. */
ship_status base_make(const base_for *what, bool chain_goes_on, chain_head *made);

/* The command. */
ship_status base_command(ship *s);

#endif /* SHIP_BASE_H */
