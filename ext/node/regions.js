// SPDX-License-Identifier: MIT
//
// regions.js: the regions of a table as an object.  Each call is one statement, but for values(), which reads a large
// region in pieces.
'use strict';
const os = require('os');
const {connectionOf, quotedTable, checkName, checkNumber, asBuffer, SeqdbError} = require('./connection.js');
const {argument} = require('./errors.js');
const {Region} = require('./region.js');

const pieceBytes = 16 * 1024 * 1024;
const arrays = {
  i8: Int8Array, u8: Uint8Array, i16: Int16Array, u16: Uint16Array, i32: Int32Array, u32: Uint32Array,
  i64: BigInt64Array, u64: BigUint64Array, f32: Float32Array, f64: Float64Array,
};

// JSON has numbers of any length: a whole one that a number of JavaScript cannot hold becomes a BigInt.
function parsed(json) {
  if (json === null) return undefined;
  const marked = json.replace(/:(-?\d{16,})(?=[,}])/g, (all, digits) =>
    Number.isSafeInteger(Number(digits)) ? all : `:"${digits}n"`);
  return JSON.parse(marked, (key, value) =>
    typeof value === 'string' && /^-?\d+n$/.test(value) ? BigInt(value.slice(0, -1)) : value);
}

class Regions {
  #connection;
  #table;
  #quoted;

  constructor(db, table) {
    this.#connection = connectionOf(db, 'seqdb.regions');
    this.#quoted = quotedTable(table, 'seqdb.regions');
    this.#table = table;
    // A wrong table is told now, and not with the first call.
    this.#connection.rows(`SELECT rowid, created, length FROM ${this.#quoted} LIMIT 0`);
  }

  list() {
    return this.#connection.rows(`SELECT name, length FROM ${this.#quoted} ORDER BY name`)
      .map(({name, length}) => ({name, length}));
  }

  has(name) {
    return this.length(name) !== undefined;
  }

  // In bytes; undefined if there is no such region.
  length(name) {
    checkName(name, 'length');
    return this.#connection.row(`SELECT length FROM ${this.#quoted} WHERE name = ?`, name)?.length;
  }

  // All of it, or from `start` up to `end`, which is left out, as Buffer.subarray does.  undefined if there is no such
  // region.
  read(name, start = 0, end = undefined) {
    checkName(name, 'read');
    checkNumber(start, 'start', 'read');
    if (end !== undefined) checkNumber(end, 'end', 'read', start);
    const {bytes} = end === undefined
      ? this.#connection.row('SELECT seqdb_read(?, ?, ?) AS bytes', this.#table, name, start)
      : this.#connection.row('SELECT seqdb_read(?, ?, ?, ?) AS bytes', this.#table, name, start, end - start);
    return bytes === null ? undefined : asBuffer(bytes);
  }

  // Bytes as a Buffer or any typed array; a string as UTF-8.
  append(name, data) {
    checkName(name, 'append');
    let bytes = data;
    if (typeof data === 'string') bytes = Buffer.from(data);
    else if (ArrayBuffer.isView(data)) bytes = asBuffer(data);
    else throw argument(`append: region '${name}': data must be a string, a Buffer or a typed array`);
    this.#connection.run(`INSERT INTO ${this.#quoted}(name, append) VALUES (?, ?)`, name, bytes);
  }

  rename(name, to) {
    checkName(name, 'rename');
    checkName(to, 'rename');
    if (this.#connection.run(`UPDATE ${this.#quoted} SET name = ? WHERE name = ?`, to, name) === 0) {
      throw this.#missing(name);
    }
  }

  // Whether there was one.
  remove(name) {
    checkName(name, 'remove');
    return this.#connection.run(`DELETE FROM ${this.#quoted} WHERE name = ?`, name) > 0;
  }

  #missing(name) {
    return new SeqdbError('SEQDB_NO_REGION', `${this.#table}: no such region: '${name}'`);
  }

  // {count, sum, min, max, mean} of an array of numbers; undefined if there is no such region.
  aggregate(name, type, first = 0, count = undefined) {
    checkName(name, 'aggregate');
    const values = [this.#table, name, type, first];
    if (count !== undefined) values.push(count);
    const marks = values.map(() => '?').join(', ');
    return parsed(this.#connection.row(`SELECT seqdb_aggregate(${marks}) AS json`, ...values).json);
  }

  // A typed array with a copy of the numbers.
  values(name, type, first = 0, count = undefined) {
    const ArrayOfType = Object.hasOwn(arrays, type) ? arrays[type] : undefined;
    if (!ArrayOfType) throw argument(`values: unknown type '${type}' (${Object.keys(arrays).join(', ')})`);
    checkNumber(first, 'first', 'values');
    if (count !== undefined) checkNumber(count, 'count', 'values');
    const region = new Region(this.#connection, this.#table, name, 'values');
    const length = region.hold();
    if (length === undefined) throw this.#missing(name);
    const size = ArrayOfType.BYTES_PER_ELEMENT;
    if (length % size !== 0) {
      throw argument(`values: region '${name}': its length ${length} is no multiple of ${size}, the size of ${type}`);
    }
    const number = count ?? Math.max(length / size - first, 0);
    if (first + number > length / size) {
      throw argument(`values: region '${name}': count ${number} from ${first} on is past its ${length / size} values`);
    }
    const result = new ArrayOfType(number);
    const bytes = asBuffer(result);
    for (let at = 0; at < bytes.length;) {
      const piece = region.read(first * size + at, Math.min(pieceBytes, bytes.length - at));
      region.lengthNow(first * size + bytes.length, 'read');
      piece.copy(bytes, at);
      at += piece.length;
    }
    if (os.endianness() === 'BE' && size > 1) bytes[`swap${size * 8}`]();
    return result;
  }
}

const regions = (db, table) => new Regions(db, table);

module.exports = {regions, Regions};
