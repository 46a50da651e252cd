// SPDX-License-Identifier: MIT
//
// streams.js: regions as Readable and Writable: every byte, back-pressure, transactions, and what goes wrong half-way.
'use strict';
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const http = require('http');
const path = require('path');
const {once} = require('events');
const {Writable} = require('stream');
const {pipeline} = require('stream/promises');
const {seqdb, driver, database, value, bytesOf, allOf, errorOf, brief, sleep} = require('./helper.js');

const generation = (db) => value(db, "SELECT seqdb_flush('regions')");
const read = (db, name, options) => seqdb.createReadStream(db, 'regions', name, options);
const write = (db, name, options) => seqdb.createWriteStream(db, 'regions', name, options);
const turn = () => new Promise((resolve) => setImmediate(resolve));

test('what is written comes back, in pieces of any size, from any start to any end', async (t) => {
  const {db} = database(t);
  const bytes = bytesOf(300001);
  const stream = write(db, 'a');
  for (let at = 0, size = 1; at < bytes.length; at += size, size = (size * 7 + 3) % 50021) {
    if (!stream.write(bytes.subarray(at, at + size))) await once(stream, 'drain');
  }
  stream.end();
  await once(stream, 'finish');
  assert.strictEqual(stream.bytesWritten, bytes.length);
  for (const [start, end, highWaterMark, live] of [
    [undefined, undefined, undefined, true], [12345, 12345 + 65535, 65536, true], [100, 200, 7, true],
    [undefined, undefined, undefined], [0, 0, 1], [0, 300000, 65536], [1, 299999, 99991], [299999, undefined, 10],
    [12345, 12345 + 65535, 65536], [12345, 12345 + 65536, 65536], [0, 10 ** 9, 4096], [100, 200, 7],
  ]) {
    const from = read(db, 'a', {start, end, highWaterMark, live});
    const got = await allOf(from);
    const expected = bytes.subarray(start ?? 0, (end ?? Infinity) + 1);
    assert.ok(got.equals(expected), `${start} ${end} ${highWaterMark} ${live}`);
    assert.strictEqual(from.bytesRead, got.length);
    assert.strictEqual(from.position, (start ?? 0) + got.length);
  }
  assert.strictEqual((await allOf(read(db, 'a', {start: 300001}))).length, 0);
  assert.strictEqual((await allOf(read(db, 'a', {start: 400000}))).length, 0);
});

test('an empty region is an empty stream, and an empty stream makes an empty region', async (t) => {
  const {db, regions} = database(t);
  write(db, 'empty').end();
  for (let i = 0; i < 100 && !regions.has('empty'); i++) await turn();
  assert.strictEqual(regions.length('empty'), 0);
  assert.strictEqual((await allOf(read(db, 'empty'))).length, 0);
});

test('text is written in its encoding, and read over the borders of pieces', async (t) => {
  const {db} = database(t);
  const text = 'Grüße, 世界 😀 '.repeat(1000);
  const stream = write(db, 'text');
  stream.write(text.slice(0, 1001), 'utf8');
  stream.write(Buffer.from(text.slice(1001)).toString('base64'), 'base64');
  stream.end();
  await once(stream, 'finish');
  let got = '';
  for await (const part of read(db, 'text', {encoding: 'utf8', highWaterMark: 7})) got += part;
  assert.strictEqual(got, text);
});

test('any name of a table and of a region will do', async (t) => {
  const {db, folder} = database(t);
  db.exec(`ATTACH '${path.join(folder, 'b.db')}' AS "other ""one"""`);
  db.exec(`CREATE VIRTUAL TABLE "other ""one"""."a.b [c]" USING seqdb('${path.join(folder, 'attached')}')`);
  const bytes = bytesOf(1000);
  for (const table of ['"other ""one"""."a.b [c]"', '`other "one"`.\'a.b [c]\'', '"a.b [c]"']) {
    for (const name of ['x', "it's", 'ü/ö', '%_"', ' ', 'a'.repeat(1024)]) {
      const stream = seqdb.createWriteStream(db, table, name, {flags: 'w'});
      stream.end(bytes);
      await once(stream, 'finish');
      assert.ok((await allOf(seqdb.createReadStream(db, table, name))).equals(bytes), `${table} ${name}`);
    }
  }
});

test('a reader that nobody reads from reads no more than a piece ahead', async (t) => {
  const {db, regions} = database(t);
  regions.append('a', bytesOf(1000000));
  const stream = read(db, 'a', {highWaterMark: 10000});
  await once(stream, 'readable');
  await sleep(50);
  assert.ok(stream.bytesRead > 0 && stream.bytesRead <= 20000, `${stream.bytesRead}`);
  stream.destroy();
});

test('write() says when to wait, and drain comes when what was written is committed', async (t) => {
  const {db, another} = database(t);
  const other = another();
  const stream = write(db, 'a', {highWaterMark: 1000});
  assert.strictEqual(stream.write(bytesOf(600)), true);
  assert.strictEqual(stream.write(bytesOf(600)), false);
  await once(stream, 'drain');
  assert.strictEqual(value(other, "SELECT length FROM regions WHERE name = 'a'"), 1200);
  stream.destroy();
});

test('what is written in one turn is one commit, whose callbacks come after it', async (t) => {
  const {db, another} = database(t);
  const other = another();
  const stream = write(db, 'a');
  stream.write('x');
  await turn();
  await turn();
  const before = generation(db);
  const seen = [];
  await new Promise((resolve) => {
    for (let i = 0; i < 500; i++) {
      stream.write('line\n', () => {
        if (i % 100 === 0) seen.push(value(other, "SELECT length FROM regions WHERE name = 'a'"));
        if (i === 499) resolve();
      });
    }
    assert.strictEqual(value(other, "SELECT length FROM regions WHERE name = 'a'"), 1);
  });
  assert.strictEqual(generation(db), before + 1);
  assert.deepStrictEqual(seen, [2501, 2501, 2501, 2501, 2501]);
  stream.end();
  await once(stream, 'finish');
});

test('outside a transaction each batch is seen by others before the stream ends', async (t) => {
  const {db, another} = database(t);
  const other = another();
  const stream = write(db, 'a');
  for (let i = 1; i <= 5; i++) {
    await new Promise((resolve, reject) => stream.write('piece', (error) => (error ? reject(error) : resolve())));
    assert.strictEqual(value(other, "SELECT length FROM regions WHERE name = 'a'"), 5 * i);
  }
  stream.end();
  await once(stream, 'close');
});

test('inside a transaction others see nothing before COMMIT, and the connection reads what it wrote', async (t) => {
  const {db, another} = database(t);
  const other = another();
  const bytes = bytesOf(200000);
  // The first releases of node:sqlite do not say whether there is a transaction, nor whether the database is open.
  const silent = new Proxy(db, {
    get(target, name) {
      if (['inTransaction', 'isTransaction', 'isOpen'].includes(name)) return undefined;
      return typeof target[name] === 'function' ? target[name].bind(target) : target[name];
    },
  });
  for (const one of [db, silent]) {
    db.exec('DELETE FROM regions; BEGIN');
    const stream = write(one, 'a');
    stream.write(bytes);
    stream.end();
    await once(stream, 'finish');
    assert.strictEqual(value(other, 'SELECT count(*) FROM regions'), 0);
    assert.ok((await allOf(read(db, 'a'))).equals(bytes));
    db.exec('COMMIT');
    assert.ok((await allOf(read(other, 'a'))).equals(bytes));
    const alone = write(one, 'b');
    alone.end(bytes);
    await once(alone, 'finish');
    assert.ok((await allOf(read(other, 'b'))).equals(bytes));
  }
});

test('a connection that is in the middle of a result: what the driver says of it, and it goes on', async (t) => {
  const {db, regions} = database(t);
  db.exec('CREATE TABLE plain(x); INSERT INTO plain VALUES (1), (2), (3)');
  regions.append('a', 'bytes');
  const rows = db.prepare('SELECT x FROM plain').iterate();
  rows.next();
  assert.strictEqual((await allOf(read(db, 'a'))).toString(), 'bytes');
  const stream = write(db, 'b');
  const closed = once(stream.end('more'), 'close');
  if (driver === 'better-sqlite3') assert.match((await errorOf(closed)).message, /busy executing a query/);
  else await closed;
  rows.return();
  const next = write(db, 'b', {flags: 'w'});
  next.end('again');
  await once(next, 'finish');
  assert.strictEqual(regions.read('b').toString(), 'again');
});

test('ROLLBACK takes all of a stream back, and what the stream writes then is told', async (t) => {
  const {db, regions} = database(t);
  regions.append('old', '0123456789');
  for (const [name, said] of [
    ['new', "SEQDB_REGION_GONE: regions: region 'new' was removed while it was written"],
    ['old', "SEQDB_REGION_CUT: regions: region 'old' was cut to 10 bytes while it was written, at 15"],
  ]) {
    db.exec('BEGIN');
    const stream = write(db, name);
    stream.write('begun');
    await turn();
    await turn();
    db.exec('ROLLBACK');
    stream.write('more');
    assert.strictEqual(brief(await errorOf(once(stream, 'close'))), said);
  }
  assert.deepStrictEqual(regions.list(), [{name: 'old', length: 10}]);
});

test('destroy half-way leaves what was committed, and nothing else', async (t) => {
  const {db, another} = database(t);
  const other = another();
  const bytes = bytesOf(50000);
  const stream = write(db, 'a');
  for (let at = 0; at < 30000; at += 10000) {
    await new Promise((resolve) => stream.write(bytes.subarray(at, at + 10000), resolve));
  }
  stream.write(bytes.subarray(30000));
  stream.destroy();
  await once(stream, 'close');
  await turn();
  assert.strictEqual(stream.bytesWritten, 30000);
  assert.ok((await allOf(read(other, 'a'))).equals(bytes.subarray(0, 30000)));
  assert.strictEqual(value(other, "SELECT seqdb_check('regions')"), 'ok');
});

test('a source that fails half-way: the pipeline says why, what was committed stays', async (t) => {
  const {db, regions} = database(t);
  async function* source() {
    yield bytesOf(1000);
    await turn();
    await turn();
    throw new Error('the source has failed');
  }
  assert.strictEqual((await errorOf(pipeline(source(), write(db, 'a')))).message, 'the source has failed');
  assert.strictEqual(regions.length('a'), 1000);
});

test('a reader that is destroyed half-way leaves nothing open', async (t) => {
  const {db, regions} = database(t);
  regions.append('a', bytesOf(100000));
  const stream = read(db, 'a', {highWaterMark: 1000});
  await once(stream, 'readable');
  stream.destroy();
  await once(stream, 'close');
  assert.strictEqual(value(db, "SELECT seqdb_stat('regions') ->> 'snapshots'"), 0);
  for await (const part of read(db, 'a', {highWaterMark: 1000})) {
    assert.strictEqual(part.length, 1000);
    break;
  }
  db.exec('DELETE FROM regions');
  db.close();
});

// Changes that end a stream, each with the end of the message.
const endings = [
  ["DELETE FROM regions WHERE name = 'a'", 'GONE', 'was removed while it was'],
  ["UPDATE regions SET name = 'b' WHERE name = 'a'", 'GONE', "was renamed to 'b' while it was"],
  ["INSERT OR REPLACE INTO regions(name, content) VALUES ('a', zeroblob(200000))", 'GONE', 'was removed while it was'],
  ["DELETE FROM regions; INSERT INTO regions(name, content) VALUES ('a', zeroblob(200000))", 'GONE',
    'was removed while it was'],
  ["UPDATE regions SET length = 5 WHERE name = 'a'", 'CUT', 'was cut to 5 bytes while it was'],
];

test('a region that is removed, renamed, replaced or cut while it is read live is told, at once', async (t) => {
  const {db, regions, another} = database(t);
  const other = another();
  const bytes = bytesOf(100000);
  for (const changer of [db, other]) {
    for (const [sql, code, said] of endings) {
      db.exec('DELETE FROM regions');
      regions.append('a', bytes);
      const stream = read(db, 'a', {highWaterMark: 10000, live: true});
      const got = [];
      const error = await errorOf(async () => {
        for await (const part of stream) {
          got.push(part);
          if (got.length === 3) changer.exec(sql);
        }
      });
      const whole = Buffer.concat(got);
      assert.match(brief(error), new RegExp(`^SEQDB_REGION_${code}: regions: region 'a' ${said} read`), sql);
      assert.ok(whole.length < 60000 && whole.equals(bytes.subarray(0, whole.length)), sql);
    }
  }
});

test('a region that is removed, renamed, replaced or cut while it is written is told, and not made anew', async (t) => {
  const {db, regions, another} = database(t);
  const other = another();
  for (const changer of [db, other]) {
    for (const flags of ['a', 'w', 'r+']) {
      for (const [sql, code, said] of endings) {
        db.exec('DELETE FROM regions');
        if (flags === 'r+') regions.append('a', '');
        const stream = write(db, 'a', {flags});
        await new Promise((resolve) => stream.write(bytesOf(1000), resolve));
        changer.exec(sql);
        const before = regions.list();
        stream.write('more');
        assert.match(brief(await errorOf(once(stream, 'close'))),
          new RegExp(`^SEQDB_REGION_${code}: regions: region 'a' ${said} written`), sql);
        assert.deepStrictEqual(regions.list(), before, sql);
        assert.strictEqual(stream.bytesWritten, 1000);
      }
    }
  }
});

test('what is appended while a region is read live is read too; with end it is not', async (t) => {
  const {db, regions} = database(t);
  const bytes = bytesOf(30000);
  for (const [end, expected] of [[undefined, 30000], [9999, 10000], [14999, 15000]]) {
    regions.remove('a');
    regions.append('a', bytes.subarray(0, 10000));
    const got = [];
    for await (const part of read(db, 'a', {highWaterMark: 4000, end, live: true})) {
      if (got.length === 0) regions.append('a', bytes.subarray(10000));
      got.push(part);
    }
    assert.ok(Buffer.concat(got).equals(bytes.subarray(0, expected)), `${end}`);
  }
});

test("flags: 'w' cuts and appends, 'r+' overwrites and grows, 'a' appends", async (t) => {
  const {db, regions} = database(t);
  const after = async (options, text) => {
    regions.remove('a');
    regions.append('a', '0123456789');
    const stream = write(db, 'a', options);
    stream.end(text);
    await once(stream, 'finish');
    return regions.read('a').toString();
  };
  assert.strictEqual(await after({}, 'new'), '0123456789new');
  assert.strictEqual(await after({flags: 'a'}, ''), '0123456789');
  assert.strictEqual(await after({flags: 'w'}, 'new'), 'new');
  assert.strictEqual(await after({flags: 'w'}, ''), '');
  assert.strictEqual(await after({flags: 'w', start: 4}, 'new'), '0123new');
  assert.strictEqual(await after({flags: 'w', start: 10}, 'new'), '0123456789new');
  assert.strictEqual(await after({flags: 'r+'}, 'new'), 'new3456789');
  assert.strictEqual(await after({flags: 'r+', start: 4}, 'new'), '0123new789');
  assert.strictEqual(await after({flags: 'r+', start: 8}, 'new'), '01234567new');
  assert.strictEqual(await after({flags: 'r+', start: 10}, 'new'), '0123456789new');
  // In several batches, the later ones where the earlier ones ended.
  const stream = write(db, 'a', {flags: 'r+', start: 1});
  for (const text of ['A', 'BC', 'D']) await new Promise((resolve) => stream.write(text, resolve));
  stream.end();
  await once(stream, 'finish');
  assert.strictEqual(regions.read('a').toString(), '0ABCD56789new');
});

test('two writers of one region: the bytes of both are there, each batch whole', async (t) => {
  const {db, another} = database(t);
  const other = another();
  const streams = [write(db, 'a'), write(other, 'a')];
  await Promise.all(streams.map(async (stream, i) => {
    for (let n = 0; n < 50; n++) {
      await new Promise((resolve) => stream.write(`${i}`.repeat(100), resolve));
    }
    stream.end();
    await once(stream, 'finish');
  }));
  const text = (await allOf(read(db, 'a'))).toString();
  assert.strictEqual(text.length, 10000);
  assert.deepStrictEqual(text.match(/.{100}/g).filter((part) => !/^(0+|1+)$/.test(part)), []);
});

test('wrong arguments are told before anything is done', async (t) => {
  const {db, regions} = database(t);
  regions.append('a', '0123456789');
  const told = async (work) => brief(await errorOf(work));
  const r = 'SEQDB_ARGUMENT: seqdb.createReadStream: ';
  const w = 'SEQDB_ARGUMENT: seqdb.createWriteStream: ';
  const wrongTable = "table must name a seqdb table, as 'regions' or 'main.regions'";
  const from = (value, least) => `must be a whole number from ${least} on, and is ${value}`;
  for (const [work, said] of [
    [() => read(db, 7), `${r}the name of a region must be a string`],
    [() => read(db, 'a\ud800'), `${r}region "a\\ud800": the name is not valid Unicode`],
    [() => write(db, undefined), `${w}the name of a region must be a string`],
    [() => seqdb.createReadStream(db, '', 'a'), r + wrongTable],
    [() => seqdb.createReadStream(db, 'a.b.c', 'a'), r + wrongTable],
    [() => seqdb.createWriteStream(db, undefined, 'a'), w + wrongTable],
    [() => seqdb.createWriteStream(db, '"main', 'a'), w + wrongTable],
    [() => seqdb.createReadStream({}, 'regions', 'a'),
      `${r}db must be a Database of better-sqlite3 or a DatabaseSync of node:sqlite`],
    [() => read(db, 'a', {start: -1}), `${r}start ${from(-1, 0)}`],
    [() => read(db, 'a', {start: 1.5}), `${r}start ${from(1.5, 0)}`],
    [() => read(db, 'a', {start: '1'}), `${r}start ${from(1, 0)}`],
    [() => read(db, 'a', {start: 2, end: 1}), `${r}start 2 is past end 1`],
    [() => read(db, 'a', {end: NaN}), `${r}end ${from(NaN, 0)}`],
    [() => read(db, 'a', {highWaterMark: 0}), `${r}highWaterMark ${from(0, 1)}`],
    [() => read(db, 'a', {live: 1}), `${r}live must be true or false, and is 1`],
    [() => write(db, 'a', {flags: 'x'}), `${w}flags must be 'a', 'w' or 'r+', not 'x'`],
    [() => write(db, 'a', {start: 1}), `${w}start is for flags 'w' and 'r+', not for 'a'`],
    [() => write(db, 'a', {flags: 'w', start: -1}), `${w}start ${from(-1, 0)}`],
    [() => write(db, 'a', {highWaterMark: -1}), `${w}highWaterMark ${from(-1, 1)}`],
    [() => once(write(db, 'a', {flags: 'w', start: 11}), 'close'), `${w}region 'a': start 11 is past its length 10`],
    [() => once(write(db, 'a', {flags: 'r+', start: 11}), 'close'), `${w}region 'a': start 11 is past its length 10`],
    [() => once(write(db, 'none', {flags: 'r+'}), 'close'), "SEQDB_NO_REGION: regions: no such region: 'none'"],
    [() => once(write(db, 'none', {flags: 'w', start: 1}), 'close'), `${w}region 'none': start 1 is past its length 0`],
    [() => read(db, 'none'), "SEQDB_NO_REGION: regions: no such region: 'none'"],
  ]) {
    assert.strictEqual(await told(work), said);
  }
  for (const make of [seqdb.createReadStream, seqdb.createWriteStream]) {
    assert.strictEqual((await errorOf(once(make(db, 'main.nothing', 'a'), 'close'))).message,
      'no such table: main.nothing');
  }
  const error = await errorOf(once(write(db, 'line\nbreak'), 'close'));
  assert.strictEqual(error.message, "region name 'line\\x0Abreak': the name contains a control character");
  assert.deepStrictEqual(regions.list(), [{name: 'a', length: 10}]);
});

test('a database that is closed while a region is streamed is told, and nothing crashes', async (t) => {
  const {db, regions, another} = database(t);
  regions.append('a', bytesOf(100000));
  const closing = another();
  const reader = read(closing, 'a', {highWaterMark: 1000});
  const writer = write(closing, 'b');
  await new Promise((resolve) => writer.write('committed', resolve));
  await once(reader, 'readable');
  closing.close();
  writer.write('lost');
  for (const [stream, name, doing] of [[writer, 'b', 'written'], [reader, 'a', 'read']]) {
    assert.strictEqual(brief(await errorOf(stream === reader ? reader : once(writer, 'close'))),
      `SEQDB_CLOSED: regions: the database was closed while region '${name}' was ${doing}`);
  }
  assert.strictEqual(regions.read('b').toString(), 'committed');
  await errorOf(once(write(closing, 'c'), 'close'));
  assert.strictEqual(value(db, "SELECT seqdb_check('regions')"), 'ok');
});

test('a writer that another one keeps waiting is told that it is locked; what was committed stays', async (t) => {
  const {db, regions, another} = database(t);
  const waiting = another({timeout: 50});
  const stream = write(waiting, 'a');
  await new Promise((resolve) => stream.write('committed', resolve));
  db.exec('BEGIN IMMEDIATE');
  stream.write('too late');
  assert.match((await errorOf(once(stream, 'close'))).message, /locked/);
  db.exec('ROLLBACK');
  assert.strictEqual(regions.read('a').toString(), 'committed');
  const next = write(waiting, 'a');
  next.end(', again');
  await once(next, 'finish');
  assert.strictEqual(regions.read('a').toString(), 'committed, again');
});

test('a table that can only be read says so, and the reader goes on', async (t) => {
  const {db, regions, folder} = database(t);
  regions.append('a', 'bytes');
  db.exec('DROP TABLE regions');
  db.exec(`CREATE VIRTUAL TABLE regions USING seqdb('${path.join(folder, 'regions')}', readonly=1)`);
  assert.match((await errorOf(once(write(db, 'b'), 'close'))).message, /read-only/);
  assert.strictEqual((await allOf(read(db, 'a'))).toString(), 'bytes');
});

test('a signal ends both kinds of stream', async (t) => {
  const {db, regions} = database(t);
  regions.append('a', bytesOf(100000));
  for (const make of [read, write]) {
    const controller = new AbortController();
    const stream = make(db, 'a', {signal: controller.signal, highWaterMark: 1000});
    const error = errorOf(make === read ? stream : once(stream, 'close'));
    setImmediate(() => controller.abort());
    assert.strictEqual((await error).name, 'AbortError');
  }
});

test('timers run while a long region is read and written', async (t) => {
  const {db} = database(t);
  const ticks = {writing: 0, reading: 0};
  let now = 'writing';
  const timer = setInterval(() => ticks[now]++, 1);
  const stream = write(db, 'a', {highWaterMark: 65536});
  for (let i = 0; i < 200; i++) if (!stream.write(bytesOf(65536))) await once(stream, 'drain');
  stream.end();
  await once(stream, 'finish');
  now = 'reading';
  let got = 0;
  const reader = read(db, 'a', {highWaterMark: 4096});
  reader.on('data', (part) => (got += part.length));
  await once(reader, 'end');
  clearInterval(timer);
  assert.strictEqual(got, 200 * 65536);
  assert.ok(ticks.writing >= 5 && ticks.reading >= 5, JSON.stringify(ticks));
});

test('one write of 100 MB, and 100,000 small ones, arrive whole', async (t) => {
  const {db, regions} = database(t);
  const large = Buffer.alloc(100e6, bytesOf(1e6));
  const stream = write(db, 'large');
  stream.end(large);
  await once(stream, 'finish');
  assert.strictEqual(regions.length('large'), 100e6);
  assert.ok((await allOf(read(db, 'large', {highWaterMark: 8e6}))).equals(large));
  const small = write(db, 'small');
  for (let i = 0; i < 100000; i++) if (!small.write(`${i}\n`)) await once(small, 'drain');
  small.end();
  await once(small, 'finish');
  const lines = (await allOf(read(db, 'small'))).toString().split('\n');
  assert.ok(lines.length === 100001 && lines.every((line, i) => line === (i < 100000 ? `${i}` : '')));
});

test('integers as BigInt and rows as arrays, if the connection is set so, change nothing', async (t) => {
  const {db} = database(t);
  if (driver === 'better-sqlite3') db.defaultSafeIntegers(true);
  const stream = write(db, 'a');
  stream.end('bytes');
  await once(stream, 'finish');
  assert.strictEqual((await allOf(read(db, 'a'))).toString(), 'bytes');
  assert.deepStrictEqual(seqdb.regions(db, 'regions').list(), [{name: 'a', length: 5}]);
  if (driver === 'better-sqlite3') db.defaultSafeIntegers(false);
});

test('through HTTP and back: every byte, and a client that leaves half-way leaves nothing open', async (t) => {
  const {db, regions} = database(t);
  const bytes = bytesOf(3000000);
  const errors = [];
  const server = http.createServer((request, response) => {
    const done = (error) => {
      if (error) errors.push(error.code);
      else if (!response.writableEnded) response.end();
    };
    if (request.method === 'GET') pipeline(read(db, request.url), response).then(() => done(), done);
    else pipeline(request, write(db, request.url)).then(() => done(), done);
  }).listen(0);
  await once(server, 'listening');
  const url = `http://localhost:${server.address().port}/a`;
  assert.strictEqual((await fetch(url, {method: 'PUT', body: bytes})).status, 200);
  assert.ok(regions.read('/a').equals(bytes));
  assert.ok(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes));
  const request = http.get(url);
  const [response] = await once(request, 'response');
  await once(response, 'data');
  response.destroy();
  while (errors.length === 0) await sleep(10);
  assert.deepStrictEqual(errors, ['ERR_STREAM_PREMATURE_CLOSE']);
  server.close();
  server.closeAllConnections();
  assert.strictEqual(value(db, "SELECT seqdb_stat('regions') ->> 'snapshots'"), 0);
});
