// SPDX-License-Identifier: MIT
//
// follow.js: what is appended to a region, as it is committed, whatever process appends it.
//
// seqdb_wait() sleeps in a statement, so it has a thread of its own (follow_thread.js), with a connection of its own.
// Two words of shared memory go there: *stop*, and how many pieces the thread may have sent, *granted*.  A piece that
// the consumer has taken grants another one: so a slow consumer holds the thread up, and never the memory.
//
// The thread keeps the process alive only while somebody is waiting for bytes.  It looks at *stop* at least every
// `pause` ms, and ends.
'use strict';
const fs = require('fs');
const path = require('path');
const {Readable, addAbortSignal} = require('stream');
const {Worker} = require('worker_threads');
const {checkName, checkNumber, quotedTable} = require('./connection.js');
const {SeqdbError, argument} = require('./errors.js');
const {last, libraryFile} = require('./load.js');

const caller = 'seqdb.follow';
const pieceBytes = 256 * 1024;
const window = 4;
const stop = 0;
const granted = 1;

// The driver that the thread requires: a path, or 'node:sqlite'.  If nothing is said, that of the last load().
function resolveDriver(driver = last.driver) {
  const from = [process.cwd(), require.main ? path.dirname(require.main.filename) : __dirname, __dirname];
  if (driver === 'node:sqlite') return driver;
  try {
    return require.resolve(driver ?? 'better-sqlite3', {paths: from});
  } catch {
    if (driver === undefined && require('module').isBuiltin('node:sqlite')) return 'node:sqlite';
    throw new SeqdbError('SEQDB_NO_DRIVER', driver === undefined
      ? `${caller}: there is neither better-sqlite3 nor, before Node.js 22.13, node:sqlite: npm install better-sqlite3`
      : `${caller}: the driver '${driver}' is not installed: npm install better-sqlite3, or driver: 'node:sqlite'`);
  }
}

class FollowStream extends Readable {
  #worker;
  #shared = new Int32Array(new SharedArrayBuffer(8));
  #taken = 0; // pieces that the consumer has taken
  #full = false; // the last one has not been taken yet
  #ended;
  #wanted = true; // ref() and unref()
  #held = false; // the thread keeps the process alive

  constructor(filename, table, name, options = {}) {
    const {start = 0, signal, driver, extension, encoding} = options;
    if (typeof filename !== 'string' || filename === '' || filename === ':memory:') {
      throw argument(`${caller}: filename must be the path of a SQLite file: nobody else can append in memory`);
    }
    quotedTable(table, caller);
    checkName(name, caller);
    checkNumber(start, 'start', caller);
    if (signal !== undefined && !(signal instanceof AbortSignal)) {
      throw argument(`${caller}: signal must be an AbortSignal`);
    }
    const file = path.resolve(filename);
    if (!fs.existsSync(file)) throw new SeqdbError('SEQDB_NO_FILE', `${caller}: there is no file ${file}`);
    const library = path.resolve(extension ?? last.extension ?? libraryFile());
    const module = resolveDriver(driver);
    super({highWaterMark: pieceBytes, encoding});
    this.bytesRead = 0;
    this.#worker = new Worker(path.join(__dirname, 'follow_thread.js'), {
      workerData: {file, table, name, start, module, library, shared: this.#shared, pieceBytes},
    });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#worker.on('message', (message) => this.#receive(message));
    this.#worker.on('error', (error) => this.destroy(error));
    this.#worker.on('exit', () => {
      if (!this.destroyed) this.destroy(new SeqdbError('SEQDB_THREAD', `${caller}: the thread has ended`));
    });
    // After the listeners: the one of 'message' makes it hold the process again.
    this.#worker.unref();
    this.#grant();
    // One that is aborted already destroys the stream here.
    if (signal) addAbortSignal(signal, this);
  }

  #grant() {
    Atomics.store(this.#shared, granted, this.#taken + window);
    Atomics.notify(this.#shared, granted);
  }

  #receive(message) {
    if (this.destroyed) return;
    if (message.error) {
      const {code, text, ours} = message.error;
      this.destroy(ours ? new SeqdbError(code, text) : Object.assign(new Error(text), {code}));
      return;
    }
    this.bytesRead += message.bytes.length;
    if (this.push(Buffer.from(message.bytes.buffer, message.bytes.byteOffset, message.bytes.length))) {
      this.#taken++;
      this.#grant();
    } else {
      this.#full = true;
    }
    this.#hold();
  }

  _read() {
    if (!this.#full) return;
    this.#full = false;
    this.#taken++;
    this.#grant();
  }

  // Somebody waits for bytes: there are none, and a consumer is there to get them.
  #hold() {
    const consumer = this.readableFlowing === true || this.listenerCount('readable') > 0;
    const hold = this.#wanted && consumer && this.readableLength === 0 && !this.destroyed;
    if (hold === this.#held) return;
    this.#held = hold;
    if (hold) this.#worker.ref();
    else this.#worker.unref();
  }

  // Every consumer comes by here, whatever way it reads: _read() only says that there is room.
  read(size) {
    const chunk = super.read(size);
    this.#hold();
    return chunk;
  }

  pause() {
    super.pause();
    this.#hold();
    return this;
  }

  // As those of sockets and timers: whether waiting for bytes keeps the process alive.
  ref() {
    this.#wanted = true;
    this.#hold();
    return this;
  }

  unref() {
    this.#wanted = false;
    this.#hold();
    return this;
  }

  // Destroyed is: the thread has ended, and its connection is closed.
  _destroy(error, callback) {
    Atomics.store(this.#shared, stop, 1);
    Atomics.notify(this.#shared, granted);
    this.#worker.ref();
    this.#ended.then(() => callback(error));
  }
}

const follow = (filename, table, name, options) => new FollowStream(filename, table, name, options);

module.exports = {follow, FollowStream};
