// SPDX-License-Identifier: MIT
//
// measure_desktop.js: a recording that grows by 64 KiB a commit and is drawn after each: as a region, as rows, and as
// one BLOB.
//
//   node measure_desktop.js PATH/OF/seqdb MIB        in an empty folder; prints the table of desktop.md
'use strict';
const fs = require('fs');
const Database = require('better-sqlite3');

const [extension, mib] = [process.argv[2], Number(process.argv[3])];
const frameBytes = 65536;
const frames = mib * 16;
const blobFrames = Math.ceil(frames / 64);

const schema = {
  regions: "CREATE VIRTUAL TABLE media USING seqdb('regions')",
  rows: 'CREATE TABLE media(recording INTEGER, n INTEGER, bytes BLOB, PRIMARY KEY(recording, n))',
  blob: 'CREATE TABLE media(recording INTEGER PRIMARY KEY, bytes BLOB)',
};
// A number of JavaScript is a REAL for SQLite: CAST, or the name is r1.0.  seqdb_read() and not substr(content, …): a
// value ends at 512 MiB in better-sqlite3.
const name = "'r' || CAST(@recording AS INTEGER)";
const statements = {
  regions: {
    append: `INSERT INTO media(name, append) VALUES (${name}, @bytes)`,
    tail: `SELECT seqdb_read('media', name, length - 4096) FROM media WHERE name = ${name}`,
    read: `SELECT seqdb_read('media', ${name}, @n * 65536, 65536)`,
    remove: `DELETE FROM media WHERE name = ${name}`,
    giveBack: "SELECT seqdb_compact('media')",
  },
  rows: {
    append: 'INSERT INTO media VALUES (@recording, @n, @bytes)',
    tail: 'SELECT substr(bytes, -4096) FROM media WHERE recording = @recording ORDER BY n DESC LIMIT 1',
    read: 'SELECT bytes FROM media WHERE recording = @recording AND n = @n',
    remove: 'DELETE FROM media WHERE recording = @recording',
    giveBack: 'VACUUM',
  },
  blob: {
    append: `INSERT INTO media VALUES (@recording, @bytes)
             ON CONFLICT DO UPDATE SET bytes = CAST(bytes || excluded.bytes AS BLOB)`,
    tail: 'SELECT substr(bytes, -4096) FROM media WHERE recording = @recording',
    read: 'SELECT substr(bytes, @n * 65536 + 1, 65536) FROM media WHERE recording = @recording',
    remove: 'DELETE FROM media WHERE recording = @recording',
    giveBack: 'VACUUM',
  },
};

const seconds = (f) => {
  const start = process.hrtime.bigint();
  f();
  return Number(process.hrtime.bigint() - start) / 1e9;
};
const diskMB = () => {
  let blocks = 0;
  for (const file of fs.readdirSync('.', {recursive: true})) {
    const status = fs.statSync(file);
    if (status.isFile()) blocks += status.blocks;
  }
  return Math.round((blocks * 512) / 1e6);
};

function open(kind, synchronous) {
  fs.mkdirSync(`${kind}-${synchronous}`);
  process.chdir(`${kind}-${synchronous}`);
  const db = new Database('library.db');
  db.loadExtension(extension);
  db.pragma('journal_mode = WAL');
  db.pragma(`synchronous = ${synchronous}`);
  db.exec(schema[kind]);
  db.exec('CREATE TABLE recording(id INTEGER PRIMARY KEY, frames INTEGER)');
  db.exec('INSERT INTO recording VALUES (1, 0), (2, 0)');
  const s = {};
  for (const [name, sql] of Object.entries(statements[kind])) {
    s[name] = db.prepare(sql);
    if (['tail', 'read', 'giveBack'].includes(name) && s[name].reader) s[name].pluck();
  }
  s.count = db.prepare('UPDATE recording SET frames = frames + 1 WHERE id = @recording');
  // A driver is strict about names that a statement has not.
  const used = {regions: ['recording', 'bytes'], rows: ['recording', 'n', 'bytes'], blob: ['recording', 'bytes']}[kind];
  const write = (frame) => {
    s.append.run(Object.fromEntries(used.map((name) => [name, frame[name]])));
    s.count.run({recording: frame.recording});
  };
  return {db, s, write};
}

function record({db, s, write}, recording, count, framesOfCommit = 1) {
  const bytes = Buffer.alloc(frameBytes);
  for (let n = 0; n < count; n++) {
    bytes.writeUInt32LE(n, frameBytes - 4);
    if (n % framesOfCommit === 0) db.exec('BEGIN IMMEDIATE');
    write({recording, n, bytes});
    if ((n + 1) % framesOfCommit === 0 || n + 1 === count) db.exec('COMMIT');
    const tail = s.tail.get({recording});
    if (tail.length !== 4096 || tail.readUInt32LE(4092) !== n) throw new Error(`frame ${n} is not the last one`);
  }
}

function read({s}, recording, count) {
  for (let n = 0; n < count; n++) {
    const frame = s.read.get({recording, n});
    if (frame.readUInt32LE(frameBytes - 4) !== n) throw new Error(`frame ${n} is not what was written`);
  }
}

const megabytes = (count) => (count * frameBytes) / 1e6;
const rate = (count, s) => `${(megabytes(count) / s).toFixed(megabytes(count) / s < 10 ? 1 : 0)} MB/s`;
const ms = (f) => `${(1000 * seconds(f)).toFixed(1)} ms`;

function measure(kind, count) {
  const cells = [];
  for (const framesOfCommit of [1, 16]) {
    const durable = open(kind, 'FULL');
    cells.push(rate(count, seconds(() => record(durable, 1, count, framesOfCommit))));
    durable.db.close();
    process.chdir('..');
    fs.rmSync(`${kind}-FULL`, {recursive: true});
  }
  const all = open(kind, 'NORMAL');
  cells.push(rate(count, seconds(() => record(all, 1, count))));
  cells.push(rate(count, seconds(() => read(all, 1, count))));
  record(all, 2, Math.ceil(count / 4)); // what stays, behind what goes
  all.db.pragma('wal_checkpoint(TRUNCATE)');
  cells.push(`${diskMB()} MB`);
  cells.push(ms(() => all.s.remove.run({recording: 1})));
  cells.push(ms(() => {
    if (all.s.giveBack.reader) all.s.giveBack.get();
    else all.s.giveBack.run();
    all.db.pragma('wal_checkpoint(TRUNCATE)');
  }));
  cells.push(`${diskMB()} MB`);
  read(all, 2, Math.ceil(count / 4));
  all.db.close();
  process.chdir('..');
  return cells;
}

const [regions, rows, blob] = [measure('regions', frames), measure('rows', frames), measure('blob', blobFrames)];
console.log(`| ${frames} frames of 64 KiB | region | row a frame | one BLOB, ${blobFrames} frames |`);
console.log('|---|---|---|---|');
['recorded, 4 KiB drawn after each, a commit each, `FULL`', 'the same, a commit for 16 frames, `FULL`',
  'the same, a commit each, `NORMAL`', 'read, frame by frame',
  'disk space, with a second recording of a quarter', 'the first one deleted', 'its space given back',
  'disk space then'].forEach((what, i) => {
  console.log(`| ${what} | ${regions[i]} | ${rows[i]} | ${blob[i]} |`);
});

const flushed = fs.openSync('flush', 'w');
const flushes = Array.from({length: 50}, () => seconds(() => {
  fs.writeSync(flushed, Buffer.alloc(4096));
  fs.fdatasyncSync(flushed);
})).sort((a, b) => a - b);
console.log(`\nA flush of 4 KiB took ${(1000 * flushes[25]).toFixed(2)} ms.`);
