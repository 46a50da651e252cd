// SPDX-License-Identifier: MIT
//
// read_stream.js: a region as a Readable.
//
// Each piece is a statement of its own, so nothing is locked and no space is held back between two of them, and the
// connection is free for other work.  Each has a turn of the event loop of its own: a long region does not keep
// timers and other clients waiting for longer than a piece takes.
'use strict';
const {Readable} = require('stream');
const {connectionOf, checkNumber} = require('./connection.js');
const {Region} = require('./region.js');
const {SeqdbError, argument} = require('./errors.js');

const caller = 'seqdb.createReadStream';
const defaultPiece = 256 * 1024;

function checkRange({start = 0, end = Infinity}) {
  checkNumber(start, 'start', caller);
  if (end !== Infinity) checkNumber(end, 'end', caller);
  if (start > end) throw argument(`${caller}: start ${start} is past end ${end}`);
  return {start, end};
}

// Turns an error of a driver about a closed database into one that says whose it was.
function explained(error, connection, region, doing) {
  if (error instanceof SeqdbError) return error;
  if (connection.isOpen() && !/database is not open/.test(error.message)) return error;
  return new SeqdbError('SEQDB_CLOSED',
    `${region.table}: the database was closed while region '${region.name}' was ${doing}`, {cause: error});
}

class RegionReadStream extends Readable {
  #connection;
  #region;
  #end;
  #piece;

  constructor(db, table, name, options = {}) {
    const {start, end} = checkRange(options);
    const {highWaterMark = defaultPiece, encoding, signal} = options;
    checkNumber(highWaterMark, 'highWaterMark', caller, 1);
    // What can be refused is, before there is a stream: one that exists is opened, whatever its constructor throws.
    const connection = connectionOf(db, caller);
    const region = new Region(connection, table, name, caller);
    super({highWaterMark, encoding, signal});
    this.#connection = connection;
    this.#region = region;
    this.#end = end;
    this.#piece = highWaterMark;
    this.position = start; // of the next byte
    this.bytesRead = 0;
  }

  _construct(callback) {
    let error = null;
    try {
      const length = this.#region.hold();
      if (length === undefined) error = this.#region.missing();
    } catch (caught) {
      error = explained(caught, this.#connection, this.#region, 'opened');
    }
    process.nextTick(callback, error);
  }

  _read() {
    setImmediate(() => this.#next());
  }

  #next() {
    if (this.destroyed) return;
    let bytes;
    try {
      const count = Math.min(this.#piece, this.#end - this.position + 1);
      bytes = count > 0 ? this.#region.read(this.position, count) : Buffer.alloc(0);
      // At the end of what there is, a shorter region is one that was cut; a start past the end reads nothing.
      this.#region.lengthNow(this.bytesRead > 0 ? this.position : 0, 'read');
    } catch (error) {
      this.destroy(explained(error, this.#connection, this.#region, 'read'));
      return;
    }
    this.position += bytes.length;
    this.bytesRead += bytes.length;
    this.push(bytes.length > 0 ? bytes : null);
  }
}

const createReadStream = (db, table, name, options) => new RegionReadStream(db, table, name, options);

module.exports = {createReadStream, RegionReadStream, explained};
