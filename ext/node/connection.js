// SPDX-License-Identifier: MIT
//
// connection.js: one face for the two drivers, better-sqlite3 and node:sqlite.
//
// A connection object is kept for each database object, with its prepared statements.  It goes when that goes.
'use strict';
const {SeqdbError, argument} = require('./errors.js');

const connections = new WeakMap();

// 'better-sqlite3', 'node:sqlite', or undefined.
function driverOf(db) {
  if (db === null || typeof db !== 'object' || typeof db.prepare !== 'function') return undefined;
  if (typeof db.pragma === 'function' && typeof db.loadExtension === 'function') return 'better-sqlite3';
  for (let at = Object.getPrototypeOf(db); at; at = Object.getPrototypeOf(at)) {
    if (at.constructor && at.constructor.name === 'DatabaseSync') return 'node:sqlite';
  }
  return undefined;
}

class Connection {
  #statements = new Map();

  constructor(db, driver) {
    this.db = db;
    this.driver = driver;
  }

  // Both drivers can be set to give integers as BigInt and rows as arrays: here they are numbers and objects.
  #statement(sql) {
    let statement = this.#statements.get(sql);
    if (statement) return statement;
    statement = this.db.prepare(sql);
    if (this.driver === 'better-sqlite3') {
      statement.safeIntegers(false);
    } else {
      statement.setReadBigInts(false);
      if (statement.setReturnArrays) statement.setReturnArrays(false);
    }
    this.#statements.set(sql, statement);
    return statement;
  }

  isOpen() {
    return this.driver === 'better-sqlite3' ? this.db.open : this.db.isOpen !== false;
  }

  row(sql, ...values) {
    return this.#statement(sql).get(...values);
  }

  rows(sql, ...values) {
    return this.#statement(sql).all(...values);
  }

  // How many rows were changed.
  run(sql, ...values) {
    return Number(this.#statement(sql).run(...values).changes);
  }

  // Older releases of node:sqlite do not say: undefined.
  #knownTransaction() {
    return this.driver === 'better-sqlite3' ? this.db.inTransaction : this.db.isTransaction;
  }

  // False: the connection is in a transaction already.
  #begin(how) {
    const known = this.#knownTransaction();
    if (known === true) return false;
    try {
      this.run(how);
    } catch (error) {
      if (known === undefined && /within a transaction/.test(error.message)) return false;
      throw error;
    }
    return true;
  }

  inTransaction() {
    const known = this.#knownTransaction();
    if (known !== undefined) return known;
    if (!this.#begin('BEGIN')) return true;
    this.run('COMMIT');
    return false;
  }

  // Does `work` with a busy timeout of 0.  It is set while the statement is prepared, so none of these is kept.
  withoutWaiting(work) {
    const timeout = (sql) => Number(Object.values(this.db.prepare(sql).get())[0]);
    const before = timeout('PRAGMA busy_timeout');
    timeout('PRAGMA busy_timeout = 0');
    try {
      return work();
    } finally {
      timeout(`PRAGMA busy_timeout = ${before}`);
    }
  }

  // Does `work` in a transaction of its own, or in the one that the connection is in.
  atomically(work) {
    if (!this.#begin('BEGIN IMMEDIATE')) return work();
    try {
      const result = work();
      this.run('COMMIT');
      return result;
    } catch (error) {
      try {
        this.run('ROLLBACK');
      } catch {
        // SQLite has rolled back already; what went wrong is the first error.
      }
      throw error;
    }
  }
}

function connectionOf(db, caller) {
  let connection = connections.get(db);
  if (connection) return connection;
  const driver = driverOf(db);
  if (!driver) {
    throw argument(`${caller}: db must be a Database of better-sqlite3 or a DatabaseSync of node:sqlite`);
  }
  connection = new Connection(db, driver);
  connections.set(db, connection);
  return connection;
}

// One identifier from the front of a text, by the rules of the extension: {name, rest}, or undefined.
function takeIdentifier(text) {
  const close = {'[': ']', '"': '"', '`': '`', '\'': '\''}[text[0]];
  if (!close) {
    const [name] = /^[^."[`']*/.exec(text);
    return name ? {name, rest: text.slice(name.length)} : undefined;
  }
  let name = '';
  for (let i = 1; i < text.length; i++) {
    if (text[i] === close) {
      if (close === ']' || text[i + 1] !== close) return {name, rest: text.slice(i + 1)};
      i++;
    }
    name += text[i];
  }
  return undefined;
}

const quoted = (name) => `"${name.replaceAll('"', '""')}"`;

// 'regions', 'main.regions', 'aux."a.b"': as it is written in a statement.
function quotedTable(table, caller) {
  const wrong = () => argument(`${caller}: table must name a seqdb table, as 'regions' or 'main.regions'`);
  if (typeof table !== 'string' || table.includes('\0')) throw wrong();
  const first = takeIdentifier(table);
  if (!first) throw wrong();
  if (first.rest === '') return quoted(first.name);
  const second = first.rest[0] === '.' ? takeIdentifier(first.rest.slice(1)) : undefined;
  if (!second || second.rest !== '') throw wrong();
  return `${quoted(first.name)}.${quoted(second.name)}`;
}

// A name that SQLite would not get as it is: a lone surrogate would arrive as another character.
function checkName(name, caller) {
  if (typeof name !== 'string') throw argument(`${caller}: the name of a region must be a string`);
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(name)) {
    throw argument(`${caller}: region ${JSON.stringify(name)}: the name is not valid Unicode`);
  }
  return name;
}

function checkNumber(value, what, caller, least = 0) {
  if (!Number.isSafeInteger(value) || value < least) {
    throw argument(`${caller}: ${what} must be a whole number from ${least} on, and is ${String(value)}`);
  }
  return value;
}

const asBuffer = (bytes) =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

module.exports = {connectionOf, quotedTable, checkName, checkNumber, asBuffer, SeqdbError};
