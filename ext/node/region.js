// SPDX-License-Identifier: MIT
//
// region.js: one region, held fast over several statements.
//
// rowid and `created` together name one life of a region.  A stream notes them when it begins, and looks again with
// each piece: bytes of another region that got the name meanwhile never pass for its own.  A reader looks *after* it
// has read, since states only grow newer: what is still there then was there before.  A writer looks inside the
// transaction in which it writes.
'use strict';
const {SeqdbError} = require('./errors.js');
const {quotedTable, checkName, asBuffer} = require('./connection.js');

class Region {
  #connection;
  #quoted;
  #rowid;
  #created;

  constructor(connection, table, name, caller) {
    this.#connection = connection;
    this.#quoted = quotedTable(table, caller);
    this.table = table;
    this.name = checkName(name, caller);
  }

  #look() {
    return this.#connection.row(`SELECT rowid AS id, created, length FROM ${this.#quoted} WHERE name = ?`, this.name);
  }

  // Notes which region has the name now.  Its length, or undefined if there is none.
  hold() {
    const row = this.#look();
    if (!row) return undefined;
    this.#rowid = row.id;
    this.#created = row.created;
    return row.length;
  }

  create() {
    this.#connection.run(`INSERT INTO ${this.#quoted}(name) VALUES (?)`, this.name);
    return this.hold();
  }

  // The length of the region that is held; an error if it has gone, or is shorter than what is known of it.
  lengthNow(known, doing) {
    const row = this.#look();
    if (!row || row.id !== this.#rowid || row.created !== this.#created) throw this.#gone(doing);
    if (row.length < known) {
      throw new SeqdbError('SEQDB_REGION_CUT',
        `${this.table}: region '${this.name}' was cut to ${row.length} bytes while it was ${doing}, at ${known}`);
    }
    return row.length;
  }

  #gone(doing) {
    const elsewhere = this.#connection.row(
      `SELECT name FROM ${this.#quoted} WHERE rowid = ? AND created = ?`, this.#rowid, this.#created);
    const what = elsewhere ? `renamed to '${elsewhere.name}'` : 'removed';
    return new SeqdbError('SEQDB_REGION_GONE',
      `${this.table}: region '${this.name}' was ${what} while it was ${doing}`);
  }

  missing() {
    return new SeqdbError('SEQDB_NO_REGION', `${this.table}: no such region: '${this.name}'`);
  }

  // A copy of its bytes; short at its end, empty if there is no such region.
  read(offset, count) {
    const {bytes} = this.#connection.row('SELECT seqdb_read(?, ?, ?, ?) AS bytes', this.table, this.name, offset,
      count);
    return bytes === null ? Buffer.alloc(0) : asBuffer(bytes);
  }

  append(bytes) {
    this.#connection.run(`INSERT INTO ${this.#quoted}(name, append) VALUES (?, ?)`, this.name, bytes);
  }

  write(offset, bytes) {
    this.#connection.row('SELECT seqdb_write(?, ?, ?, ?) AS count', this.table, this.name, offset, bytes);
  }

  setLength(length) {
    this.#connection.run(`UPDATE ${this.#quoted} SET length = ? WHERE name = ?`, length, this.name);
  }
}

module.exports = {Region};
