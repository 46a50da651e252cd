/* SPDX-License-Identifier: MIT
**
** pin.h: sdb_pin: a snapshot that a program keeps, so that bytes of `data` stay as they are.
*/
#ifndef SDB_PIN_H
#define SDB_PIN_H

#include <stdbool.h>
#include <stdint.h>
#include "seqdb.h"
#include "sqlite_api.h"

typedef struct sdb_pin {
  struct sdb_pin *next;
  sqlite3_int64 number;
  seqdb *engine; /* lives as long as the snapshot */
  seqdb_snapshot *snapshot;
} sdb_pin;

/* Takes the snapshot over, if there is memory for that. */
bool sdb_pin_add(sdb_pin **pins, sqlite3_int64 number, seqdb *engine, seqdb_snapshot *snapshot);
/* false: there is none of that number. */
bool sdb_pin_close(sdb_pin **pins, sqlite3_int64 number);
void sdb_pins_close(sdb_pin **pins);
/* Those of one handle. */
uint64_t sdb_pins_count(const sdb_pin *pins, const seqdb *engine);

#endif /* SDB_PIN_H */
