// SPDX-License-Identifier: MIT
//
// follow.js: following a region: every byte in order, whoever appends it; how it ends; what goes wrong.
'use strict';
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const path = require('path');
const {once} = require('events');
const {seqdb, driver, packageFolder, database, value, bytesOf, errorOf, brief, prelude, start, run, sleep} =
  require('./helper.js');

const others = driver === 'better-sqlite3' ? {} : {driver};

// Reads until there are `count` bytes.
async function take(stream, count) {
  const parts = [];
  let got = 0;
  for await (const part of stream) {
    parts.push(part);
    got += part.length;
    if (got >= count) break;
  }
  return Buffer.concat(parts);
}

// A process that is to append: if it ends badly, so does the stream, and says why.
function appender(stream, script, ...args) {
  const child = start(script, ...args);
  let complaint = '';
  child.stderr.on('data', (part) => (complaint += part));
  child.on('close', (code) => {
    if (code) stream.destroy(new Error(`the other process has ended with ${code}: ${complaint}`));
  });
  return child;
}

const threads = () => (fs.existsSync('/proc/self/task') ? fs.readdirSync('/proc/self/task').length : 0);

test('what is there comes first, then what is appended, by this connection and by others', async (t) => {
  const {db, file, regions, another} = database(t);
  const other = seqdb.regions(another(), 'regions');
  regions.append('log', 'there, ');
  setTimeout(() => regions.append('log', 'this one, '), 100);
  setTimeout(() => other.append('log', 'another one'), 200);
  const stream = seqdb.follow(file, 'regions', 'log', others);
  assert.strictEqual((await take(stream, 28)).toString(), 'there, this one, another one');
  assert.strictEqual(stream.bytesRead, 28);
  assert.strictEqual(value(db, "SELECT seqdb_check('regions')"), 'ok');
});

test('from a start in the middle and from the end on, as text, with a schema', async (t) => {
  const {file, regions} = database(t);
  regions.append('log', '0123456789');
  assert.strictEqual((await take(seqdb.follow(file, 'main.regions', 'log', {start: 4}), 6)).toString(), '456789');
  setTimeout(() => regions.append('log', 'grüße'), 100);
  let text = '';
  for await (const part of seqdb.follow(file, 'regions', 'log', {start: 10, encoding: 'utf8'})) {
    text += part;
    if (text.length >= 5) break;
  }
  assert.strictEqual(text, 'grüße');
});

test('every byte of another process arrives in order, in small and large appends, compacted meanwhile', async (t) => {
  const {db, file, regions} = database(t);
  const total = 20000000;
  const bytes = bytesOf(total);
  const stream = seqdb.follow(file, 'regions', 'log');
  const child = appender(stream, `${prelude}
    const db = openFile(process.argv[1], {timeout: 60000});
    seqdb.load(db);
    const regions = seqdb.regions(db, 'regions');
    const bytes = bytesOf(${total});
    for (let at = 0, n = 0; at < bytes.length; n++) {
      const size = n % 10 === 9 ? 700001 : 1 + (n * 7919) % 3000;
      regions.append('log', bytes.subarray(at, at + size));
      regions.append('noise', 'x');
      at += size;
    }
    db.close();`, file);
  const compaction = setInterval(() => {
    try {
      regions.remove('noise');
      value(db, "SELECT seqdb_compact('regions')");
    } catch (error) {
      // The other process begins its next commit at once, and may be the faster one for five seconds.
      if (!/locked/.test(error.message)) throw error;
    }
  }, 50);
  const got = await take(stream, total);
  clearInterval(compaction);
  if (child.exitCode === null) await once(child, 'exit');
  assert.strictEqual(child.exitCode, 0);
  assert.ok(got.equals(bytes));
});

test('writers that are killed half-way: what was committed arrives, and nothing else', async (t) => {
  const {file, regions} = database(t);
  const stream = seqdb.follow(file, 'regions', 'log');
  const script = `${prelude}
    const db = openFile(process.argv[1], {timeout: 60000});
    seqdb.load(db);
    const regions = seqdb.regions(db, 'regions');
    for (;;) {
      db.exec('BEGIN');
      regions.append('log', 'rolled back');
      db.exec('ROLLBACK');
      regions.append('log', 'line\\n');
    }`;
  const parts = [];
  let got = 0;
  let child = appender(stream, script, file);
  let kills = 0;
  for await (const part of stream) {
    parts.push(part);
    got += part.length;
    if (got < 500 * (kills + 1)) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
    if (++kills === 3) break;
    child = appender(stream, script, file);
  }
  const text = Buffer.concat(parts).toString();
  const stored = regions.read('log').toString();
  assert.ok(stored.startsWith(text));
  assert.strictEqual(stored, 'line\n'.repeat(stored.length / 5));
});

test('a region that is not there yet is waited for', async (t) => {
  const {file, regions} = database(t);
  const stream = seqdb.follow(file, 'regions', 'later');
  setTimeout(() => regions.append('other', 'no'), 50);
  setTimeout(() => regions.append('later', 'yes'), 300);
  assert.strictEqual((await take(stream, 3)).toString(), 'yes');
});

test('two followers and a slow one get the same; a slow one holds up its thread and not the memory', async (t) => {
  const {file, regions} = database(t);
  const bytes = bytesOf(12000000);
  regions.append('log', bytes);
  const slow = seqdb.follow(file, 'regions', 'log');
  await once(slow, 'readable');
  await sleep(300);
  assert.ok(slow.bytesRead <= 2 * 1024 * 1024, `${slow.bytesRead}`);
  const fast = [0, 1].map(() => take(seqdb.follow(file, 'regions', 'log'), bytes.length));
  for (const got of await Promise.all(fast)) assert.ok(got.equals(bytes));
  assert.ok(slow.bytesRead <= 2 * 1024 * 1024, `${slow.bytesRead}`);
  assert.ok((await take(slow, bytes.length)).equals(bytes));
});

test('abort, destroy and break end it: the thread has ended when it is closed', async (t) => {
  const {file, regions} = database(t);
  regions.append('log', 'bytes');
  await take(seqdb.follow(file, 'regions', 'log'), 5);
  const before = threads();

  const controller = new AbortController();
  const aborted = seqdb.follow(file, 'regions', 'log', {signal: controller.signal});
  setTimeout(() => controller.abort(), 300);
  const begin = Date.now();
  assert.strictEqual((await errorOf(take(aborted, 6))).name, 'AbortError');
  assert.ok(Date.now() - begin < 5000);

  const early = seqdb.follow(file, 'regions', 'log', {signal: AbortSignal.abort()});
  assert.strictEqual((await errorOf(take(early, 6))).name, 'AbortError');

  const destroyed = seqdb.follow(file, 'regions', 'log');
  await once(destroyed, 'readable');
  destroyed.destroy();
  await once(destroyed, 'close');

  const failed = seqdb.follow(file, 'regions', 'log');
  failed.destroy(new Error('enough'));
  assert.strictEqual((await errorOf(once(failed, 'close'))).message, 'enough');
  assert.ok(threads() <= before, `${threads()} threads, before ${before}`);
});

test('a region that is removed, renamed, replaced or cut while it is followed is told', async (t) => {
  const {db, file, regions} = database(t);
  for (const [sql, said] of [
    ["DELETE FROM regions WHERE name = 'log'", "GONE: regions: region 'log' was removed while it was followed"],
    ["UPDATE regions SET name = 'log.1' WHERE name = 'log'",
      "GONE: regions: region 'log' was renamed to 'log.1' while it was followed"],
    ["INSERT OR REPLACE INTO regions(name, content) VALUES ('log', zeroblob(20))",
      "GONE: regions: region 'log' was removed while it was followed"],
    ["UPDATE regions SET length = 5 WHERE name = 'log'",
      "CUT: regions: region 'log' was cut to 5 bytes while it was followed, at 10"],
  ]) {
    db.exec('DELETE FROM regions');
    regions.append('log', '0123456789');
    const stream = seqdb.follow(file, 'regions', 'log');
    const error = await errorOf(async () => {
      let got = 0;
      for await (const part of stream) {
        got += part.length;
        if (got >= 10) db.exec(sql);
        if (got > 10) break;
      }
    });
    assert.strictEqual(brief(error), `SEQDB_REGION_${said}`);
  }
});

test('wrong arguments, a missing file, table, driver or library, and a start past the end are told', async (t) => {
  const {file, folder, regions, db} = database(t);
  regions.append('log', '0123456789');
  const f = 'SEQDB_ARGUMENT: seqdb.follow: ';
  const memory = `${f}filename must be the path of a SQLite file: nobody else can append in memory`;
  for (const [values, said] of [
    [[undefined, 'regions', 'log'], memory],
    [[':memory:', 'regions', 'log'], memory],
    [[db, 'regions', 'log'], memory],
    [[path.join(folder, 'none.db'), 'regions', 'log'], 'SEQDB_NO_FILE: seqdb.follow: there is no file /none.db'],
    [[file, 'a.b.c', 'log'], `${f}table must name a seqdb table, as 'regions' or 'main.regions'`],
    [[file, 'regions', 7], `${f}the name of a region must be a string`],
    [[file, 'regions', 'log', {start: -1}], `${f}start must be a whole number from 0 on, and is -1`],
    [[file, 'regions', 'log', {signal: 'stop'}], `${f}signal must be an AbortSignal`],
    [[file, 'regions', 'log', {start: 11}], `${f}regions: region 'log': start 11 is past its length 10`],
    [[file, 'regions', 'log', {driver: 'no-such-driver'}], 'SEQDB_NO_DRIVER: seqdb.follow: the driver ' +
      "'no-such-driver' is not installed: npm install better-sqlite3, or driver: 'node:sqlite'"],
    [[file, 'regions', 'log', {extension: path.join(folder, 'none.so')}],
      'SEQDB_LIBRARY_MISSING: seqdb.load: there is no file /none.so'],
  ]) {
    const error = await errorOf(() => take(seqdb.follow(...values), 1));
    assert.strictEqual(brief(error).replaceAll(folder, ''), said);
  }
  assert.match((await errorOf(take(seqdb.follow(file, 'nothing', 'log'), 1))).message, /no such seqdb table: nothing/);
  fs.writeFileSync(path.join(folder, 'text'), 'this is not a database, but it is long enough to be taken for one');
  assert.match((await errorOf(take(seqdb.follow(path.join(folder, 'text'), 'regions', 'log'), 1))).message,
    /file is not a database/);
});

test('without any driver and load() it says what to install', async (t) => {
  const {file} = database(t);
  const ended = await run(`
    require('module').isBuiltin = () => false;
    const seqdb = require(process.argv[1]);
    try { seqdb.follow(process.argv[2], 'regions', 'log'); } catch (error) { console.log(error.code, error.message); }
  `.replace(/^/, "process.chdir('/'); process.env.NODE_PATH = ''; require('module')._initPaths();"),
  packageFolder, file);
  assert.deepStrictEqual([ended.code, ended.text], [0, 'SEQDB_NO_DRIVER seqdb.follow: there is neither ' +
    'better-sqlite3 nor, before Node.js 22.13, node:sqlite: npm install better-sqlite3\n']);
});

const opened = `${prelude}
  const db = openFile(process.argv[1]);
  seqdb.load(db);
  const regions = seqdb.regions(db, 'regions');
  const stream = seqdb.follow(process.argv[1], 'regions', 'log');`;

test('a process ends although it has begun to follow and nobody reads, or after the loop is left', async (t) => {
  const {file, regions} = database(t);
  regions.append('log', 'bytes');
  for (const script of [
    `${opened} console.log('done');`,
    `${opened} stream.once('readable', () => { stream.read(); stream.unref(); console.log('done'); });
     setTimeout(() => {}, 500);`,
    `${opened} (async () => { for await (const part of stream) break; console.log('done'); })();`,
    `${opened} stream.on('data', () => { console.log('done'); stream.destroy(); });`,
    `${opened} stream.on('data', () => { console.log('done'); process.exit(0); });`,
    `${opened} stream.on('data', () => {}).unref(); setTimeout(() => console.log('done'), 500);`,
    `${opened} stream.on('data', () => {}); setTimeout(() => { stream.pause(); console.log('done'); }, 500);`,
    `${opened} require('stream').pipeline(stream, async function (source) { for await (const part of source) break; },
       () => console.log('done'));`,
  ]) {
    const ended = await run(script, file);
    assert.deepStrictEqual([ended.code, ended.signal, ended.text], [0, null, 'done\n'], script);
    assert.ok(ended.ms < 20000, `${ended.ms} ms: ${script}`);
  }
});

test('a process that waits for bytes stays alive; an error that nobody handles ends it', async (t) => {
  const {file, regions} = database(t);
  regions.append('log', 'bytes');
  const child = start(`${opened} stream.on('data', (part) => process.stdout.write(part));`, file);
  let text = '';
  let complaint = '';
  child.stdout.on('data', (part) => (text += part));
  child.stderr.on('data', (part) => (complaint += part));
  while (text !== 'bytes') await sleep(20);
  await sleep(1000);
  assert.strictEqual(child.exitCode, null);
  regions.append('log', ' and more');
  while (text !== 'bytes and more') await sleep(20);
  regions.remove('log');
  const [code] = await once(child, 'close');
  assert.strictEqual(code, 1);
  assert.match(complaint, /region 'log' was removed while it was followed/);
});
