// SPDX-License-Identifier: MIT
//
// read_stream.js: a region as a Readable.
//
// The bytes are those that the region has when the stream is opened: it is pinned, and the thread pool reads the file
// (pinned.js).  Where that is refused, or not wanted (live), each piece is a statement of its own, so nothing is locked
// and no space is held back between two of them, and the connection is free for other work.  Each has a turn of the
// event loop of its own: a long region does not keep timers and other clients waiting for longer than a piece takes.
'use strict';
const {Readable} = require('stream');
const {connectionOf, checkNumber} = require('./connection.js');
const {pinned} = require('./pinned.js');
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

const closed = (region, doing, cause) => new SeqdbError('SEQDB_CLOSED',
  `${region.table}: the database was closed while region '${region.name}' was ${doing}`, {cause});

// Turns an error of a driver about a closed database into one that says whose it was.
function explained(error, connection, region, doing) {
  if (error instanceof SeqdbError) return error;
  if (connection.isOpen() && !/database is not open/.test(error.message)) return error;
  return closed(region, doing, error);
}

class RegionReadStream extends Readable {
  #connection;
  #region;
  #end;
  #piece;
  #live;
  #pinned; // undefined: read through the connection

  constructor(db, table, name, options = {}) {
    const {start, end} = checkRange(options);
    const {highWaterMark = defaultPiece, encoding, signal, live = false} = options;
    checkNumber(highWaterMark, 'highWaterMark', caller, 1);
    if (typeof live !== 'boolean') throw argument(`${caller}: live must be true or false, and is ${String(live)}`);
    // What can be refused is, before there is a stream: one that exists is opened, whatever its constructor throws.
    const connection = connectionOf(db, caller);
    const region = new Region(connection, table, name, caller);
    super({highWaterMark, encoding, signal});
    this.#connection = connection;
    this.#region = region;
    this.#end = end;
    this.#piece = highWaterMark;
    this.#live = live;
    this.position = start; // of the next byte
    this.bytesRead = 0;
  }

  _construct(callback) {
    try {
      const length = this.#region.hold();
      if (length === undefined) throw this.#region.missing();
      if (!this.#live) this.#pin(length);
    } catch (caught) {
      process.nextTick(callback, explained(caught, this.#connection, this.#region, 'opened'));
      return;
    }
    if (this.#pinned) this.#open(callback);
    else process.nextTick(callback);
  }

  // The stream ends where the region does now, whichever way it is read.
  #pin(length) {
    this.#pinned = pinned(this.#connection, this.#region.table, this.#region.name);
    this.#end = Math.min(this.#end, (this.#pinned?.length ?? length) - 1);
  }

  // A file that this process may not open (any more) is read through the connection.
  #open(callback) {
    this.#pinned.open(this, (error) => {
      if (error) this.#unpin(callback);
      else callback();
    });
  }

  #unpin(callback) {
    const pinned = this.#pinned;
    this.#pinned = undefined;
    if (pinned) pinned.close(callback);
    else callback();
  }

  _read() {
    if (this.#pinned) this.#readFile();
    else setImmediate(() => this.#next());
  }

  #readFile() {
    const count = Math.min(this.#piece, this.#end - this.position + 1);
    if (count <= 0) {
      this.push(null);
      return;
    }
    this.#pinned.read(this.position, count, (error, bytes) => {
      const wrong = error ?? this.#wrong(bytes);
      if (wrong) this.destroy(wrong);
      else this.#give(bytes);
    });
  }

  // An error, or undefined: bytes are what they were when the stream was opened.
  #wrong(bytes) {
    if (!this.#pinned.holds()) return closed(this.#region, 'read');
    if (bytes.length > 0) return undefined;
    return new SeqdbError('SEQDB_FILE_SHORT', `${this.#region.table}: the file ${this.#pinned.file} ends ` +
      `before byte ${this.position} of region '${this.#region.name}': seqdb_check() tells more`);
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
    this.#give(bytes);
  }

  #give(bytes) {
    this.position += bytes.length;
    this.bytesRead += bytes.length;
    this.push(bytes.length > 0 ? bytes : null);
  }

  _destroy(error, callback) {
    this.#unpin(() => callback(error));
  }
}

const createReadStream = (db, table, name, options) => new RegionReadStream(db, table, name, options);

module.exports = {createReadStream, RegionReadStream, explained};
