// SPDX-License-Identifier: MIT
//
// bench.js: a region and a file through HTTP on loopback: out to a client, in from one, and out and back in.
//
//   node bench.js [MEBIBYTES [ROUNDS]]      default: 1024 and 3; EXTENSION=path/of/seqdb for a library elsewhere
//
// The server is this process, the client another one.  Regions are streamed by createReadStream and
// createWriteStream of this package, files by those of fs, in the same run, taking turns.  Prints the median of the
// rounds, and compares every byte that came back.  A ratio is that of the two which follow each other in a round: the
// median, and the least and the most.  Processor time is the server's.  KINDS=file,region leaves out the two other
// columns.  FOLLOW=1 also measures following: another process appends.
//
// A file of fs is in the page cache when its stream is finished, a region is on the disk.  So there are also a region
// of a table with sync=off, which never waits for the disk, and a file with an fsync at its end.
'use strict';
const childProcess = require('child_process');
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');
const {once} = require('events');
const {Readable, Writable} = require('stream');
const {pipeline} = require('stream/promises');
const seqdb = require('./index.js');

const mebibyte = 1024 * 1024;
const agent = new http.Agent({keepAlive: true});

// ---- the client ------------------------------------------------------------------------------------------------

async function request(port, method, url, body) {
  const sent = http.request({port, method, path: url, agent, headers: body ? {'transfer-encoding': 'chunked'} : {}});
  const answered = once(sent, 'response');
  if (body) await pipeline(body, sent);
  else sent.end();
  const [response] = await answered;
  if (response.statusCode !== 200) throw new Error(`${method} ${url}: ${response.statusCode}`);
  return response;
}

async function drained(response) {
  let bytes = 0;
  await pipeline(response, new Writable({
    write(chunk, encoding, callback) {
      bytes += chunk.length;
      callback();
    },
  }));
  return bytes;
}

function* sameBytes(total) {
  const block = require('crypto').randomBytes(mebibyte).subarray(0, 65536);
  for (let at = 0; at < total; at += block.length) yield block;
}

const work = {
  out: async (port, kind) => drained(await request(port, 'GET', `/${kind}/source`)),
  in: async (port, kind, total) =>
    drained(await request(port, 'PUT', `/${kind}/in`, Readable.from(sameBytes(total), {objectMode: false}))),
  both: async (port, kind) => {
    const response = await request(port, 'GET', `/${kind}/source`);
    await drained(await request(port, 'PUT', `/${kind}/back`, response));
  },
};

async function client(port) {
  for await (const line of require('readline').createInterface({input: process.stdin})) {
    const {what, kind, total} = JSON.parse(line);
    const begin = process.hrtime.bigint();
    await work[what](port, kind, total);
    console.log(Number(process.hrtime.bigint() - begin) / 1e9);
  }
  agent.destroy();
}

// ---- the server ------------------------------------------------------------------------------------------------

function newDatabase() {
  let found = false;
  try {
    found = require.resolve('better-sqlite3');
  } catch {
    // node:sqlite will do, or says that it is not there.
  }
  return found ? new (require('better-sqlite3'))('bench.db')
    : new (require('node:sqlite').DatabaseSync)('bench.db', {allowExtension: true});
}

function openDatabase() {
  const db = newDatabase();
  seqdb.load(db, process.env.EXTENSION ? {extension: process.env.EXTENSION} : {});
  db.exec('PRAGMA journal_mode = WAL');
  db.exec('PRAGMA synchronous = NORMAL');
  db.exec("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('bench_regions')");
  db.exec("CREATE VIRTUAL TABLE IF NOT EXISTS unsynced USING seqdb('bench_unsynced', sync=off)");
  return db;
}

function serve(db) {
  const reader = {
    region: (name) => seqdb.createReadStream(db, 'regions', name),
    unsynced: (name) => seqdb.createReadStream(db, 'regions', name),
    file: (name) => fs.createReadStream(name),
    synced: (name) => fs.createReadStream(name),
  };
  const writer = {
    region: (name) => seqdb.createWriteStream(db, 'regions', name, {flags: 'w'}),
    unsynced: (name) => seqdb.createWriteStream(db, 'unsynced', name, {flags: 'w'}),
    file: (name) => fs.createWriteStream(name),
    synced: (name) => fs.createWriteStream(name, {flush: true}), // from Node.js 21.0 and 20.10 on
  };
  return http.createServer(async (message, response) => {
    const [, kind, name] = message.url.split('/');
    try {
      if (message.method === 'GET') {
        await pipeline(reader[kind](name), response);
      } else {
        await pipeline(message, writer[kind](name));
        response.end();
      }
    } catch (error) {
      console.error(error);
      response.statusCode = 500;
      response.end(error.message);
    }
  });
}

function equal(db, name, file) {
  const descriptor = fs.openSync(file, 'r');
  const regions = seqdb.regions(db, 'regions');
  const block = Buffer.alloc(mebibyte);
  let at = 0;
  for (;;) {
    const count = fs.readSync(descriptor, block, 0, block.length, at);
    const bytes = regions.read(name, at, at + mebibyte);
    if (!bytes.equals(block.subarray(0, count))) throw new Error(`${name} differs from ${file} after byte ${at}`);
    if (count === 0) break;
    at += count;
  }
  fs.closeSync(descriptor);
  if (at !== regions.length(name)) throw new Error(`${name} has ${regions.length(name)} bytes, ${file} has ${at}`);
}

// What a file has left in the page cache would be written while the next one is measured.
function settle() {
  for (const file of ['in', 'back'].filter((name) => fs.existsSync(name))) {
    const descriptor = fs.openSync(file, 'r+');
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
  }
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

async function lines(child) {
  const iterator = require('readline').createInterface({input: child.stdout})[Symbol.asyncIterator]();
  return async () => (await iterator.next()).value;
}

async function streams(db, total, rounds) {
  const server = serve(db).listen(0);
  await once(server, 'listening');
  const child = childProcess.spawn(process.execPath, [...process.execArgv, __filename, 'client', server.address().port],
    {stdio: ['pipe', 'pipe', 'inherit']});
  const next = await lines(child);
  const times = {};
  const used = {};
  const kinds = (process.env.KINDS ?? 'file,region,synced,unsynced').split(',');
  for (let round = 0; round < rounds; round++) {
    for (const what of ['out', 'in', 'both']) {
      for (const kind of kinds) {
        if (what === 'out' && kind.endsWith('synced')) continue;
        const before = process.cpuUsage();
        child.stdin.write(`${JSON.stringify({what, kind, total})}\n`);
        const seconds = Number(await next());
        if (!(seconds > 0)) throw new Error('the client has ended');
        const {user, system} = process.cpuUsage(before);
        ((times[what] ??= {})[kind] ??= []).push(seconds);
        ((used[what] ??= {})[kind] ??= []).push((user + system) / 1e6);
        settle();
      }
    }
  }
  child.stdin.end();
  server.close();
  equal(db, 'source', 'source');
  equal(db, 'back', 'source');
  equal(db, 'back', 'back');
  return {times, used};
}

function table({times, used}, total) {
  const names = {out: 'out to a client', in: 'in from a client', both: 'out and back in'};
  console.log(`| ${total / mebibyte} MiB over HTTP, MiB/s | region | file | ratio | region, sync=off | ratio | ` +
    'file, then fsync | ratio, least to most | processor s, region, file |');
  console.log('|---|---|---|---|---|---|---|---|---|');
  for (const what of Object.keys(names)) {
    const seconds = (kind) => median(times[what][kind] ?? [NaN]);
    const rate = (kind) => (times[what][kind] ? (total / mebibyte / seconds(kind)).toFixed(0) : '');
    const ratios = (kind) => times[what][kind].map((each, round) => times[what].file[round] / each);
    const ratio = (kind) => (times[what][kind] ? median(ratios(kind)).toFixed(2) : '');
    const processor = (kind) => median(used[what][kind]).toFixed(2);
    console.log(`| ${names[what]} | ${rate('region')} | ${rate('file')} | ${ratio('region')} | ` +
      `${rate('unsynced')} | ${ratio('unsynced')} | ${rate('synced')} | ` +
      `${Math.min(...ratios('region')).toFixed(2)} to ${Math.max(...ratios('region')).toFixed(2)} | ` +
      `${processor('region')}, ${processor('file')} |`);
  }
}

// ---- following -------------------------------------------------------------------------------------------------

// Another process: appends pieces, each with its time.
async function appender(pieces, bytes) {
  const db = openDatabase();
  const regions = seqdb.regions(db, 'regions');
  for (let i = 0; i < pieces; i++) {
    const piece = Buffer.alloc(bytes, i & 255);
    piece.writeBigUInt64LE(process.hrtime.bigint());
    regions.append('followed', piece);
    if (bytes < 65536) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  db.close();
}

async function following(db, pieces, bytes) {
  const regions = seqdb.regions(db, 'regions');
  regions.remove('followed');
  const stream = seqdb.follow('bench.db', 'regions', 'followed');
  const child = childProcess.spawn(process.execPath, [...process.execArgv, __filename, 'appender', pieces, bytes],
    {stdio: 'inherit'});
  const begin = process.hrtime.bigint();
  const late = [];
  let at = 0;
  let rest = Buffer.alloc(0);
  for await (const news of stream) {
    rest = rest.length ? Buffer.concat([rest, news]) : news;
    const now = process.hrtime.bigint();
    for (; rest.length >= bytes; rest = rest.subarray(bytes)) {
      late.push(Number(now - rest.readBigUInt64LE()) / 1e3);
      for (const check of [8, bytes - 1]) if (rest[check] !== (at & 255)) throw new Error(`piece ${at} is wrong`);
      at++;
    }
    if (at === pieces) break;
  }
  const seconds = Number(process.hrtime.bigint() - begin) / 1e9;
  if (child.exitCode === null) await once(child, 'exit');
  return {seconds, late: median(late)};
}

// ---- main ------------------------------------------------------------------------------------------------------

async function main() {
  const total = Number(process.argv[2] ?? 1024) * mebibyte;
  const rounds = Number(process.argv[3] ?? 3);
  const folder = fs.mkdtempSync(path.join(process.env.TMPDIR ?? os.tmpdir(), 'seqdb-bench-'));
  process.chdir(folder);
  const db = openDatabase();
  try {
    const random = require('crypto').randomBytes(16 * mebibyte);
    const file = fs.openSync('source', 'w');
    for (let at = 0; at < total; at += random.length) {
      random.writeUInt32LE(at / mebibyte, 0);
      fs.writeSync(file, random, 0, Math.min(random.length, total - at));
    }
    fs.fsyncSync(file);
    fs.closeSync(file);
    await pipeline(fs.createReadStream('source'), seqdb.createWriteStream(db, 'regions', 'source', {flags: 'w'}));
    table(await streams(db, total, rounds), total);
    if (process.env.FOLLOW) {
      const small = await following(db, 500, 100);
      const late = small.late.toFixed(0);
      console.log(`followed, 500 appends of 100 bytes by another process: ${late} µs after the append`);
      const large = await following(db, Math.ceil(total / mebibyte / 4), 4 * mebibyte);
      const mib = Math.ceil(total / mebibyte / 4) * 4;
      console.log(`followed, ${mib} MiB by another process: ${(mib / large.seconds).toFixed(0)} MiB/s, every byte`);
    }
  } finally {
    db.close();
    process.chdir('/');
    fs.rmSync(folder, {recursive: true, force: true});
  }
}

if (process.argv[2] === 'client') client(Number(process.argv[3]));
else if (process.argv[2] === 'appender') appender(Number(process.argv[3]), Number(process.argv[4]));
else main();
