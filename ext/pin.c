/* SPDX-License-Identifier: MIT
**
** pin.c: snapshots that SQLite may hold pointers into.
**
** Content and names are handed to SQLite without a copy (SQLITE_STATIC).  SQLite keeps such a pointer in a register
** for a while, before 3.51 even after the cursor it came from was closed: max((SELECT content ...)) did, and read
** pages that had been given away.  It never does so once all cursors of the connection are closed.  Therefore:
**
**   - a pin that lent a pointer is closed when the client's last open cursor closes, whichever table that is of;
**   - a pin that lent nothing is closed with its last user, so that look-ups of a length hold nothing back;
**   - cursors opened at the same generation share one pin.
**
** A cursor opened after a commit gets a newer pin, also while older cursors are open: a statement sees what was
** committed before it began.
*/
#include "ext.h"

static void pin_close(sdb_client *client, sdb_pin *pin) {
  sdb_pin **link = &client->pins;
  while (*link != pin)
    link = &(*link)->next;
  *link = pin->next;
  if (pin->owner && pin->owner->newest == pin) pin->owner->newest = NULL;
  seqdb_snapshot_close(pin->snapshot);
  sqlite3_free(pin);
}

int sdb_pin_get(sdb_client *client, sdb_conn *owner, seqdb *engine, sdb_pin **out, sdb_failure *f) {
  seqdb_snapshot *snapshot = NULL;
  int rc = seqdb_snapshot_open(engine, &snapshot);
  if (rc != SEQDB_OK) return sdb_failure_engine(f, engine, rc);

  sdb_pin *pin = owner ? owner->newest : NULL;
  if (pin && seqdb_snapshot_generation(pin->snapshot) == seqdb_snapshot_generation(snapshot)) {
    seqdb_snapshot_close(snapshot);
  } else {
    pin = sqlite3_malloc64(sizeof *pin);
    if (!pin) {
      seqdb_snapshot_close(snapshot);
      return sdb_failure_nomem(f);
    }
    *pin = (sdb_pin){.next = client->pins, .snapshot = snapshot, .owner = owner};
    client->pins = pin;
    if (owner) owner->newest = pin;
  }
  pin->users++;
  *out = pin;
  return SQLITE_OK;
}

void sdb_pin_put(sdb_client *client, sdb_pin *pin) {
  if (!pin) return;
  pin->users--;
  if (pin->users == 0 && (!pin->lent || client->open_cursors == 0)) pin_close(client, pin);
}

void sdb_pins_drop_owner(sdb_client *client, const sdb_conn *owner) {
  for (sdb_pin *pin = client->pins, *next; pin; pin = next) {
    next = pin->next;
    if (pin->owner == owner) pin_close(client, pin);
  }
}

void sdb_cursor_opened(sdb_client *client) {
  client->open_cursors++;
}

/* Call it after the cursor put its pins back. */
void sdb_cursor_closed(sdb_client *client) {
  client->open_cursors--;
  if (client->open_cursors > 0) return;
  for (sdb_pin *pin = client->pins, *next; pin; pin = next) {
    next = pin->next;
    if (pin->users == 0) pin_close(client, pin);
  }
  sdb_client_drop_statements(client);
}
