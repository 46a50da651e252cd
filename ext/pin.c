/* SPDX-License-Identifier: MIT
**
** pin.c: the pins of a connection.
**
** They are the program's and not the table's: DROP and DETACH leave them, closing the connection ends them.
*/
#include "pin.h"

bool sdb_pin_add(sdb_pin **pins, sqlite3_int64 number, seqdb *engine, seqdb_snapshot *snapshot) {
  sdb_pin *pin = sqlite3_malloc64(sizeof *pin);
  if (!pin) return false;
  *pin = (sdb_pin){*pins, number, engine, snapshot};
  *pins = pin;
  return true;
}

bool sdb_pin_close(sdb_pin **pins, sqlite3_int64 number) {
  sdb_pin **link = pins, *pin;
  while (*link && (*link)->number != number)
    link = &(*link)->next;
  pin = *link;
  if (!pin) return false;
  *link = pin->next;
  seqdb_snapshot_close(pin->snapshot);
  sqlite3_free(pin);
  return true;
}

void sdb_pins_close(sdb_pin **pins) {
  while (*pins)
    sdb_pin_close(pins, (*pins)->number);
}

uint64_t sdb_pins_count(const sdb_pin *pins, const seqdb *engine) {
  uint64_t count = 0;
  for (; pins; pins = pins->next)
    count += pins->engine == engine;
  return count;
}
