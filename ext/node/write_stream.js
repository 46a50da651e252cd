// SPDX-License-Identifier: MIT
//
// write_stream.js: a Writable whose bytes go to the end of a region.
//
// What is written within one turn of the event loop is one *batch*, and one transaction: a COMMIT costs much the same
// for one byte and for a megabyte.  So write() corks the stream, and the turn's end uncorks it.  In a flow a batch
// waits for more.  Where somebody waits for a write, by its callback, a flow is more than one write in a turn, and a
// batch waits as long as the last commit took: that doubles the latency at most, and halves the commits or better.
// Where nobody does, as in a pipeline, it waits four times as long: the thread then commits in a fifth of its time.
// (One commit for each piece that a pipeline copied from a region: 10 times the wall time, measured.)  A program that
// waits for each of its writes waits for nothing else.
//
// The callback of a write, 'drain' and 'finish' come when the bytes are committed, or, if the connection is in a
// transaction, when they are in that.  Nothing stays open between two batches.
'use strict';
const {Writable} = require('stream');
const {connectionOf, checkNumber} = require('./connection.js');
const {Region} = require('./region.js');
const {argument} = require('./errors.js');
const {explained} = require('./read_stream.js');

const caller = 'seqdb.createWriteStream';
// Measured, beside files, on a busy machine of two processors: a third more per second than with 4 MiB.
const defaultBuffer = 16 * 1024 * 1024;
const longestWait = {awaited: 20, unawaited: 100}; // ms
const waitTimes = {awaited: 1, unawaited: 4}; // the last commit
const smallPiece = 64 * 1024;
const largestPiece = 64 * 1024 * 1024; // well below SQLite's limit for one value

// Buffers as they are written: small ones put together, huge ones in parts.
function* pieces(buffers) {
  let small = [];
  let bytes = 0;
  for (const buffer of buffers) {
    if (bytes > 0 && bytes + buffer.length > smallPiece) {
      yield small.length === 1 ? small[0] : Buffer.concat(small, bytes);
      small = [];
      bytes = 0;
    }
    if (buffer.length > smallPiece) {
      for (let at = 0; at < buffer.length; at += largestPiece) yield buffer.subarray(at, at + largestPiece);
    } else {
      small.push(buffer);
      bytes += buffer.length;
    }
  }
  if (bytes > 0) yield small.length === 1 ? small[0] : Buffer.concat(small, bytes);
}

class RegionWriteStream extends Writable {
  #connection;
  #region;
  #flags;
  #start;
  #least = 0; // the region cannot be shorter, unless somebody cut it or rolled back
  #writes = 0; // in the batch that is corked
  #awaited = false; // one of them has a callback
  #timer;
  #batch; // bytes that wait for no more
  #lastCommit = 0; // ms

  constructor(db, table, name, options = {}) {
    const {flags = 'a', start, highWaterMark = defaultBuffer, signal} = options;
    if (!['a', 'w', 'r+'].includes(flags)) throw argument(`${caller}: flags must be 'a', 'w' or 'r+', not '${flags}'`);
    if (start !== undefined && flags === 'a') throw argument(`${caller}: start is for flags 'w' and 'r+', not for 'a'`);
    checkNumber(start ?? 0, 'start', caller);
    checkNumber(highWaterMark, 'highWaterMark', caller, 1);
    const connection = connectionOf(db, caller);
    const region = new Region(connection, table, name, caller);
    super({highWaterMark, signal, decodeStrings: true});
    this.#connection = connection;
    this.#region = region;
    this.#flags = flags;
    this.#start = start ?? 0;
    this.#batch = Math.ceil(highWaterMark / 2);
    this.bytesWritten = 0;
  }

  _construct(callback) {
    let error = null;
    try {
      this.#connection.atomically(() => this.#open());
    } catch (caught) {
      error = explained(caught, this.#connection, this.#region, 'opened');
    }
    process.nextTick(callback, error);
  }

  // As open() of a file: creates what is missing, and 'w' cuts.
  #open() {
    let length = this.#region.hold();
    if (length === undefined) {
      if (this.#flags === 'r+') throw this.#region.missing();
      length = this.#region.create();
    }
    if (this.#start > length) {
      throw argument(`${caller}: region '${this.#region.name}': start ${this.#start} is past its length ${length}`);
    }
    if (this.#flags === 'w' && length > this.#start) {
      this.#region.setLength(this.#start);
      length = this.#start;
    }
    this.#least = length;
  }

  write(...args) {
    if (this.destroyed || this.writableEnded) return super.write(...args);
    if (this.#writes++ === 0) {
      this.cork();
      setImmediate(() => this.#turnEnds());
    }
    if (typeof args.at(-1) === 'function') this.#awaited = true;
    const more = super.write(...args);
    if (this.#timer && this.writableLength >= this.#batch) this.#flushSoon();
    return more;
  }

  #turnEnds() {
    const kind = this.#awaited ? 'awaited' : 'unawaited';
    const wait = Math.min(this.#lastCommit * waitTimes[kind], longestWait[kind]);
    if ((this.#writes > 1 || !this.#awaited) && wait >= 1 && this.writableLength < this.#batch) {
      this.#timer = setTimeout(() => this.#flush(), wait);
    } else {
      this.#flush();
    }
  }

  #flushSoon() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    setImmediate(() => this.#flush());
  }

  #flush() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writes = 0;
    this.#awaited = false;
    this.uncork();
  }

  _destroy(error, callback) {
    clearTimeout(this.#timer);
    callback(error);
  }

  _write(chunk, encoding, callback) {
    this.#commit([chunk], callback);
  }

  _writev(chunks, callback) {
    this.#commit(chunks.map(({chunk}) => chunk), callback);
  }

  #commit(buffers, callback) {
    let bytes = 0;
    let least = this.#least;
    const begin = performance.now();
    try {
      this.#connection.atomically(() => {
        const length = this.#region.lengthNow(least, 'written');
        for (const piece of pieces(buffers)) {
          if (this.#flags === 'r+') this.#region.write(this.#start + this.bytesWritten + bytes, piece);
          else this.#region.append(piece);
          bytes += piece.length;
        }
        least = this.#flags === 'r+' ? Math.max(length, this.#start + this.bytesWritten + bytes) : length + bytes;
      });
    } catch (error) {
      callback(explained(error, this.#connection, this.#region, 'written'));
      return;
    }
    this.#lastCommit = performance.now() - begin;
    this.#least = least;
    this.bytesWritten += bytes;
    callback(null);
  }
}

const createWriteStream = (db, table, name, options) => new RegionWriteStream(db, table, name, options);

module.exports = {createWriteStream, RegionWriteStream};
