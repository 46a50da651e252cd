// SPDX-License-Identifier: MIT
//
// pins.js: read streams of a moment: whatever is committed meanwhile they give the old bytes, and their pins go.
'use strict';
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const path = require('path');
const v8 = require('v8');
const vm = require('vm');
const {once} = require('events');
const {pipeline} = require('stream/promises');
const {seqdb, driver, database, value, bytesOf, allOf, errorOf, brief, sleep} = require('./helper.js');

const read = (db, name, options) => seqdb.createReadStream(db, 'regions', name, options);
const write = (db, name, options) => seqdb.createWriteStream(db, 'regions', name, options);
const pins = (db) => value(db, "SELECT seqdb_stat('regions') ->> 'pins'");
const held = (db) => value(db, "SELECT count(*) FROM seqdb_snapshots('regions')");
const descriptors = (folder) => fs.readdirSync('/proc/self/fd').filter((each) => {
  try {
    return fs.readlinkSync(`/proc/self/fd/${each}`).startsWith(path.join(folder, 'regions', 'data'));
  } catch {
    return false; // that of the listing itself
  }
}).length;

// What a consumer gets that does `work` after the third piece.
async function during(stream, work) {
  const got = [];
  for await (const part of stream) {
    got.push(part);
    if (got.length === 3) await work();
  }
  return Buffer.concat(got);
}

test('the bytes are those of the moment, whatever happens to the region while it is read', async (t) => {
  const {db, regions, another} = database(t);
  const other = another();
  const bytes = bytesOf(300000);
  const compact = "SELECT seqdb_compact('regions')";
  for (const changer of [db, other]) {
    for (const sql of [
      "DELETE FROM regions WHERE name = 'a'",
      "UPDATE regions SET name = 'b' WHERE name = 'a'",
      "DELETE FROM regions; INSERT INTO regions(name, content) VALUES ('a', zeroblob(300000))",
      "INSERT OR REPLACE INTO regions(name, content) VALUES ('a', zeroblob(300000))",
      "UPDATE regions SET length = 5 WHERE name = 'a'",
      "UPDATE regions SET content = zeroblob(300000) WHERE name = 'a'",
      "SELECT seqdb_write('regions', 'a', 100000, zeroblob(200000))",
      "INSERT INTO regions(name, append) VALUES ('a', zeroblob(300000))",
    ]) {
      db.exec('DELETE FROM regions');
      regions.append('before', bytesOf(500000, 2));
      regions.append('a', bytes);
      const stream = read(db, 'a', {highWaterMark: 10000});
      const got = await during(stream, async () => {
        changer.exec(`DELETE FROM regions WHERE name = 'before'; ${sql}; ${compact}`);
        // The space that was freed is asked for again.
        regions.append('after', bytesOf(900000, 3));
        changer.exec("INSERT INTO regions(regions) VALUES ('flush')");
      });
      assert.ok(got.equals(bytes), sql);
      assert.strictEqual(stream.bytesRead, bytes.length);
      assert.strictEqual(pins(db), 0, sql);
    }
  }
  assert.strictEqual(value(db, "SELECT seqdb_check('regions')"), 'ok');
});

test('while it is read the region is pinned; the end, destroy and an error give pin and file back', async (t) => {
  const {db, regions, folder} = database(t);
  regions.append('a', bytesOf(1000000));
  const before = descriptors(folder);
  const held0 = held(db);
  const ends = {
    end: async (stream) => assert.strictEqual((await allOf(stream)).length, 1000000),
    destroy: async (stream) => stream.destroy(),
    error: async (stream) => {
      stream.on('error', () => {});
      stream.destroy(new Error('the consumer has failed'));
    },
    'leaving a loop': async (stream) => {
      for await (const part of stream) if (part.length > 0) break;
    },
    pipeline: async (stream) => {
      await errorOf(pipeline(stream, async function(source) {
        for await (const part of source) if (part.length > 0) throw new Error('half-way');
      }));
    },
  };
  for (const [how, end] of Object.entries(ends)) {
    const stream = read(db, 'a', {highWaterMark: 10000});
    await once(stream, 'readable');
    assert.deepStrictEqual([pins(db), held(db), descriptors(folder)], [1, held0 + 1, before + 1], how);
    const closed = stream.closed ? undefined : new Promise((resolve) => stream.once('close', resolve));
    await end(stream);
    await closed;
    assert.deepStrictEqual([pins(db), held(db), descriptors(folder)], [0, held0, before], how);
  }
  // Before it is open, and while a piece is on its way.
  const early = read(db, 'a');
  early.destroy();
  await once(early, 'close');
  const late = read(db, 'a', {highWaterMark: 10000});
  await new Promise((resolve) => late.once('readable', resolve));
  late.read();
  late.destroy();
  await once(late, 'close');
  assert.deepStrictEqual([pins(db), descriptors(folder)], [0, before]);
});

test('many streams of one region at once, each of its own moment', async (t) => {
  const {db, regions} = database(t);
  const expected = [];
  const streams = [];
  for (let i = 0; i < 20; i++) {
    regions.append('a', bytesOf(20000, i + 1));
    if (i % 3 === 2) db.exec("SELECT seqdb_write('regions', 'a', 5000, zeroblob(100))");
    expected.push(regions.read('a'));
    streams.push(read(db, 'a', {highWaterMark: 7000}));
    await new Promise((resolve) => streams[i].once('readable', resolve));
  }
  const got = await Promise.all(streams.map(allOf));
  got.forEach((each, i) => assert.ok(each.equals(expected[i]), `${i}`));
  assert.strictEqual(pins(db), 0);
});

test('in a transaction a stream reads what that sees, and pins nothing', async (t) => {
  const {db, regions} = database(t);
  regions.append('a', 'committed');
  regions.append('b', 'another');
  regions.append('unchanged', 'as before');
  // The first releases of node:sqlite do not say whether there is a transaction.
  const silent = new Proxy(db, {
    get(target, name) {
      if (['inTransaction', 'isTransaction'].includes(name)) return undefined;
      return typeof target[name] === 'function' ? target[name].bind(target) : target[name];
    },
  });
  for (const one of [db, silent]) {
    db.exec("BEGIN; INSERT INTO regions(name, append) VALUES ('a', ', and more')");
    db.exec("UPDATE regions SET name = 'c' WHERE name = 'b'");
    const stream = read(one, 'a', {highWaterMark: 4});
    await once(stream, 'readable');
    assert.strictEqual(pins(db), 0);
    assert.strictEqual((await allOf(stream)).toString(), 'committed, and more');
    assert.strictEqual((await allOf(read(one, 'c'))).toString(), 'another');
    const same = read(one, 'unchanged', {highWaterMark: 4});
    await once(same, 'readable');
    assert.strictEqual(pins(db), 0);
    assert.strictEqual((await allOf(same)).toString(), 'as before');
    db.exec("UPDATE regions SET name = 'b' WHERE name = 'unchanged'");
    assert.strictEqual((await allOf(read(one, 'b'))).toString(), 'as before');
    db.exec('ROLLBACK');
    const outside = read(one, 'a');
    await once(outside, 'readable');
    assert.strictEqual(pins(db), 1);
    assert.strictEqual((await allOf(outside)).toString(), 'committed');
  }
});

test('overwritten bytes that an older snapshot keeps from their place are read through the connection', async (t) => {
  const {db, regions, another} = database(t);
  const other = another();
  const bytes = bytesOf(100000);
  regions.append('a', bytes);
  db.exec("INSERT INTO regions(regions) VALUES ('checkpoint')");
  const old = read(other, 'a', {highWaterMark: 10000});
  await once(old, 'readable');
  db.exec("SELECT seqdb_write('regions', 'a', 50000, zeroblob(1000))");
  const expected = regions.read('a');
  const stream = read(db, 'a', {highWaterMark: 10000});
  await once(stream, 'readable');
  assert.strictEqual(pins(db), 0);
  // It ends where the region did, as one that is pinned.
  regions.append('a', 'more');
  assert.ok((await allOf(stream)).equals(expected));
  const gone = read(db, 'a', {highWaterMark: 10000});
  assert.match(brief(await errorOf(during(gone, async () => regions.remove('a')))),
    /^SEQDB_REGION_GONE: regions: region 'a' was removed while it was read/);
  assert.ok((await allOf(old)).equals(bytes));
});

test('overwritten bytes that another writer keeps from their place are not waited for', async (t) => {
  const {db, regions, another} = database(t);
  const other = another();
  regions.append('a', bytesOf(100000));
  db.exec("SELECT seqdb_write('regions', 'a', 50000, zeroblob(1000))");
  other.exec("BEGIN IMMEDIATE; INSERT INTO regions(name, append) VALUES ('b', 'x')");
  const begin = performance.now();
  const expected = regions.read('a');
  assert.ok((await allOf(read(db, 'a'))).equals(expected));
  assert.ok(performance.now() - begin < 2000);
  other.exec('COMMIT');
  assert.strictEqual(value(db, 'PRAGMA busy_timeout'), 5000);
});

test('a connection that is closed while a stream is read: an error, and never bytes of afterwards', async (t) => {
  const {db, regions, another, folder, file} = database(t);
  const bytes = bytesOf(200000);
  regions.append('a', bytes);
  const before = descriptors(folder);
  const said = "SEQDB_CLOSED: regions: the database was closed while region 'a' was read";
  const closing = another();
  const stream = read(closing, 'a', {highWaterMark: 10000});
  const got = [];
  const error = await errorOf(async () => {
    for await (const part of stream) {
      got.push(part);
      if (got.length !== 3) continue;
      closing.close();
      db.exec("DELETE FROM regions; SELECT seqdb_compact('regions')");
      db.exec("INSERT INTO regions(name, content) VALUES ('b', zeroblob(400000))");
      if (driver === 'node:sqlite') closing.open(); // a pin of it would not be this one
    }
  });
  assert.strictEqual(brief(error), said);
  const whole = Buffer.concat(got);
  assert.ok(whole.length < 60000 && whole.equals(bytes.subarray(0, whole.length)), `${whole.length}`);
  if (!stream.closed) await once(stream, 'close');
  assert.strictEqual(descriptors(folder), before);
  assert.ok(fs.existsSync(file));
});

test('a stream that nobody ends gives its pin back when it is collected, or the connection is closed', async (t) => {
  const {db, regions, another, folder} = database(t);
  regions.append('a', bytesOf(1000000));
  const before = descriptors(folder);
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc');
  await (async () => {
    const stream = read(db, 'a', {highWaterMark: 10000});
    await once(stream, 'readable');
    assert.strictEqual(pins(db), 1);
  })();
  for (let i = 0; i < 200 && pins(db) > 0; i++) {
    collect();
    await sleep(5);
  }
  assert.strictEqual(pins(db), 0);
  for (let i = 0; i < 200 && descriptors(folder) > before; i++) await sleep(5);
  assert.strictEqual(descriptors(folder), before);
  const held0 = held(db);
  const closing = another();
  const stream = read(closing, 'a', {highWaterMark: 10000});
  await once(stream, 'readable');
  assert.strictEqual(held(db), held0 + 1);
  closing.close();
  assert.strictEqual(held(db), held0);
  stream.destroy();
  await once(stream, 'close');
});

test('a file that is shorter than its regions is told, with the place', async (t) => {
  const {db, regions, folder} = database(t);
  regions.append('a', bytesOf(1000000));
  const stream = read(db, 'a', {highWaterMark: 10000});
  const data = path.join(folder, 'regions', 'data');
  const error = await errorOf(during(stream, async () => fs.truncateSync(data, 100000)));
  assert.match(brief(error), /^SEQDB_FILE_SHORT: regions: the file .*data ends before byte \d+ of region 'a'/);
  fs.truncateSync(data, 2000000);
});

test('a pipeline from region to region commits few times, and the last bytes are durable with finish', async (t) => {
  const {db, regions, another} = database(t);
  const other = another();
  const bytes = bytesOf(20000000);
  const source = write(db, 'source');
  source.end(bytes);
  await once(source, 'finish');
  const generation = () => value(db, "SELECT seqdb_flush('regions')");
  const before = generation();
  const begin = performance.now();
  await pipeline(read(db, 'source', {highWaterMark: 20000}), write(db, 'copy', {flags: 'w'}));
  const commits = generation() - before;
  const ms = performance.now() - begin;
  assert.ok(seqdb.regions(other, 'regions').read('copy').equals(bytes));
  assert.strictEqual(regions.length('copy'), bytes.length);
  // Where a commit takes no time at all none of them waits.
  assert.ok(commits < 300 || ms < 1000, `${commits} commits of 1000 pieces in ${ms.toFixed(0)} ms`);
});
