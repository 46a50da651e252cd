// SPDX-License-Identifier: MIT
//
// follow_thread.js: the thread of follow.js: reads, sends, waits for the next commit, until it is told to stop.
//
// The generation is asked for before the bytes are read.  What is committed in between is a newer one: the wait for it
// returns at once, so no commit is slept through.
'use strict';
const {parentPort, workerData} = require('worker_threads');
const {connectionOf} = require('./connection.js');
const {load} = require('./load.js');
const {Region} = require('./region.js');
const {SeqdbError} = require('./errors.js');

const {file, table, name, start, module: driver, library, shared, pieceBytes} = workerData;
const pause = 200; // ms: how long a stop may take
const stop = 0;
const granted = 1;
const stopped = () => Atomics.load(shared, stop) !== 0;

function open() {
  const db = driver === 'node:sqlite'
    ? new (require('node:sqlite').DatabaseSync)(file, {allowExtension: true})
    : new (require(driver))(file, {fileMustExist: true});
  const connection = connectionOf(db, 'seqdb.follow');
  load(db, {extension: library});
  db.exec('PRAGMA busy_timeout = 5000');
  return {db, connection};
}

// True once another piece may be sent; false: stop.
function maySend(sent) {
  for (;;) {
    if (stopped()) return false;
    const limit = Atomics.load(shared, granted);
    if (sent < limit) return true;
    Atomics.wait(shared, granted, limit, pause);
  }
}

// Sends what there is.  False: stop.
function sendAll(region, state) {
  for (;;) {
    if (!maySend(state.sent)) return false;
    const bytes = region.read(state.position, pieceBytes);
    region.lengthNow(state.position, 'followed');
    if (bytes.length === 0) return true;
    state.position += bytes.length;
    state.sent++;
    parentPort.postMessage({bytes}, [bytes.buffer]);
  }
}

// A region that nobody has made yet is waited for.
function held(region) {
  const length = region.hold();
  if (length === undefined) return false;
  if (start > length) {
    throw new SeqdbError('SEQDB_ARGUMENT',
      `seqdb.follow: ${table}: region '${name}': start ${start} is past its length ${length}`);
  }
  return true;
}

function work(connection) {
  const region = new Region(connection, table, name, 'seqdb.follow');
  const state = {position: start, sent: 0};
  let holds = false;
  let generation = 0;
  while (!stopped()) {
    generation = connection.row('SELECT seqdb_wait(?, ?, ?) AS newest', table, generation, pause).newest;
    holds = holds || held(region);
    if (holds && !sendAll(region, state)) return;
  }
}

let db;
try {
  const opened = open();
  db = opened.db;
  work(opened.connection);
} catch (error) {
  parentPort.postMessage({error: {code: error.code, text: error.message, ours: error instanceof SeqdbError}});
} finally {
  if (db) db.close();
}
