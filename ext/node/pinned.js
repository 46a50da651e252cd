// SPDX-License-Identifier: MIT
//
// pinned.js: the bytes of a region as they are at one moment: a pin of the connection, and a descriptor of its own.
//
// Pinned bytes stay where they are in the file `data`, whatever is committed meanwhile.  So the thread pool of Node.js
// reads them, as it does for fs, and the one thread of the program does not wait.  When the connection is closed its
// pins are gone, and the space may be written anew: so what was read counts only if the connection is open *after*
// that.  A statement that was prepared with the pin tells: a DatabaseSync can be opened again.
//
// A pin that is refused is no error: the caller reads through the connection then.
'use strict';
const fs = require('fs');

// A stream that nobody ends, and nobody refers to, gives its pin back when it is collected.
const forgotten = new FinalizationRegistry((pinned) => pinned.close(() => {}));

class Pinned {
  #connection;
  #statement;
  #pin;
  #offset;
  #descriptor;
  #reading = false;
  #whenIdle;

  constructor(connection, {pin, file, offset, length}) {
    this.#connection = connection;
    this.#statement = connection.db.prepare('SELECT 1');
    this.#pin = pin;
    this.file = file;
    this.#offset = offset;
    this.length = length;
  }

  // Whether the pin still holds: nobody has closed the connection.
  holds() {
    try {
      this.#statement.get();
      return true;
    } catch {
      return false;
    }
  }

  // Opens the file for `owner`, which closes this, or is collected.  callback(error)
  open(owner, callback) {
    forgotten.register(owner, this, this);
    fs.open(this.file, 'r', (error, descriptor) => {
      this.#descriptor = descriptor;
      callback(error);
    });
  }

  // `count` bytes from `position` on, fewer at the end of the file only.  callback(error, bytes)
  read(position, count, callback) {
    const buffer = Buffer.allocUnsafeSlow(count);
    this.#reading = true;
    fs.read(this.#descriptor, buffer, 0, count, this.#offset + position, (error, got) => {
      this.#reading = false;
      if (this.#whenIdle) this.#finish(this.#whenIdle);
      else if (error) callback(error);
      else callback(null, got === count ? buffer : buffer.subarray(0, got));
    });
  }

  // Gives the pin back at once.  callback(): the descriptor is closed, too; a read under way ends before, and its
  // callback does not come.
  close(callback) {
    forgotten.unregister(this);
    this.#release();
    if (this.#reading) this.#whenIdle = callback;
    else this.#finish(callback);
  }

  #finish(callback) {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    if (descriptor === undefined) callback();
    else fs.close(descriptor, () => callback());
  }

  #release() {
    const pin = this.#pin;
    this.#pin = undefined;
    // A connection that was opened again counts its pins anew: this number may be another's.
    if (pin === undefined || !this.holds()) return;
    try {
      this.#connection.row('SELECT seqdb_unpin(?) AS left', pin);
    } catch {
      // The program has given it back by hand.
    }
  }
}

// undefined: refused.  In a transaction the region as that sees it may be nowhere in the file.
function pinned(connection, table, name) {
  if (connection.inTransaction()) return undefined;
  try {
    return connection.withoutWaiting(() => new Pinned(connection,
      JSON.parse(connection.row('SELECT seqdb_pin(?, ?) AS json', table, name).json)));
  } catch {
    return undefined;
  }
}

module.exports = {pinned};
