// SPDX-License-Identifier: MIT
//
// regions.js: the regions of a table as an object, and the package as others see it.
'use strict';
const test = require('node:test');
const assert = require('node:assert');
const childProcess = require('child_process');
const fs = require('fs');
const path = require('path');
const {seqdb, packageFolder, database, value, bytesOf, errorOf, brief, folderFor, run, prelude} =
  require('./helper.js');

test('list, has, length, read, append, rename and remove do what the statements do', async (t) => {
  const {db, regions} = database(t);
  assert.deepStrictEqual(regions.list(), []);
  regions.append('b', 'grüße');
  regions.append('a', Buffer.from([1, 2, 3]));
  regions.append('a', new Uint16Array([0x0504]));
  regions.append('a', new DataView(new Uint8Array([9, 6, 7, 9]).buffer, 1, 2));
  regions.append('empty', '');
  assert.deepStrictEqual(regions.list(),
    [{name: 'a', length: 7}, {name: 'b', length: 7}, {name: 'empty', length: 0}]);
  assert.deepStrictEqual([...regions.read('a')], [1, 2, 3, 4, 5, 6, 7]);
  assert.deepStrictEqual([...regions.read('a', 2)], [3, 4, 5, 6, 7]);
  assert.deepStrictEqual([...regions.read('a', 2, 4)], [3, 4]);
  assert.deepStrictEqual([regions.read('a', 9).length, regions.read('a', 0, 0).length], [0, 0]);
  assert.deepStrictEqual([regions.read('none'), regions.length('none'), regions.has('none')],
    [undefined, undefined, false]);
  assert.deepStrictEqual([regions.has('a'), regions.length('a'), regions.has('empty')], [true, 7, true]);
  regions.rename('a', "it's");
  assert.deepStrictEqual([regions.has('a'), regions.length("it's")], [false, 7]);
  assert.deepStrictEqual([regions.remove("it's"), regions.remove("it's")], [true, false]);
  db.exec('BEGIN');
  regions.append('b', 'more');
  regions.remove('empty');
  db.exec('ROLLBACK');
  assert.deepStrictEqual(regions.list(), [{name: 'b', length: 7}, {name: 'empty', length: 0}]);
});

test('values and aggregate of each type are those of SQL', async (t) => {
  const {db, regions} = database(t);
  const arrays = {
    i8: new Int8Array([-128, 0, 127]), u8: new Uint8Array([0, 255, 3]), i16: new Int16Array([-32768, 5, 32767]),
    u16: new Uint16Array([65535, 1]), i32: new Int32Array([-(2 ** 31), 2 ** 31 - 1]),
    u32: new Uint32Array([2 ** 32 - 1]),
    i64: new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n]), u64: new BigUint64Array([2n ** 63n - 1n, 7n]),
    f32: new Float32Array([1.5, -0.25]), f64: new Float64Array([Math.PI, 1e300]),
  };
  for (const [type, array] of Object.entries(arrays)) {
    regions.append(type, array);
    assert.deepStrictEqual(regions.values(type, type), array);
    assert.deepStrictEqual(regions.values(type, type, 1), array.slice(1));
    assert.deepStrictEqual(regions.values(type, type, 0, 1), array.slice(0, 1));
    assert.deepStrictEqual(regions.values(type, type, array.length), array.slice(0, 0));
    const {count, min, max} = regions.aggregate(type, type);
    const sorted = array.slice().sort();
    assert.strictEqual(count, array.length);
    assert.ok(BigInt(type[0] === 'f' ? 0 : min) === BigInt(type[0] === 'f' ? 0 : sorted[0]), type);
    if (type[0] === 'f') assert.deepStrictEqual([min, max], [sorted[0], sorted.at(-1)]);
    else assert.strictEqual(BigInt(max), BigInt(sorted.at(-1)));
  }
  assert.strictEqual(regions.aggregate('u64', 'u64').sum, 2n ** 63n + 6n);
  assert.strictEqual(regions.aggregate('i64', 'i64').min, -(2n ** 63n));
  assert.deepStrictEqual(regions.aggregate('u8', 'u8', 1, 2), {count: 2, sum: 258, min: 3, max: 255, mean: 129});
  assert.deepStrictEqual(regions.aggregate('i8', 'i8', 3), {count: 0, sum: null, min: null, max: null, mean: null});
  assert.strictEqual(regions.aggregate('none', 'i8'), undefined);
  // More than one piece of 16 MiB.
  const large = new Float64Array(5000000).map((_, i) => i * 0.5);
  regions.append('large', large);
  const got = regions.values('large', 'f64', 3);
  assert.ok(Buffer.from(got.buffer).equals(Buffer.from(large.buffer, 24)));
  assert.strictEqual(value(db, "SELECT seqdb_aggregate('regions', 'large', 'f64') ->> 'max'"), 2499999.5);
});

test('wrong arguments are told, and change nothing', async (t) => {
  const {db, regions} = database(t);
  regions.append('a', '0123456789');
  regions.append('b', 'x');
  const at = (work) => errorOf(work).then(brief);
  const data = "SEQDB_ARGUMENT: append: region 'a': data must be a string, a Buffer or a typed array";
  const number = (what, least, is) => `${what} must be a whole number from ${least} on, and is ${is}`;
  for (const [work, said] of [
    [() => seqdb.regions({}, 'regions'), 'SEQDB_ARGUMENT: seqdb.regions: db must be a Database of better-sqlite3 or ' +
      'a DatabaseSync of node:sqlite'],
    [() => seqdb.regions(db, 7),
      "SEQDB_ARGUMENT: seqdb.regions: table must name a seqdb table, as 'regions' or 'main.regions'"],
    [() => regions.append(7, 'x'), 'SEQDB_ARGUMENT: append: the name of a region must be a string'],
    [() => regions.append('a', 7), data],
    [() => regions.append('a', undefined), data],
    [() => regions.append('a', new ArrayBuffer(1)), data],
    [() => regions.read('a', -1), `SEQDB_ARGUMENT: read: ${number('start', 0, -1)}`],
    [() => regions.read('a', 3, 2), `SEQDB_ARGUMENT: read: ${number('end', 3, 2)}`],
    [() => regions.rename('none', 'c'), "SEQDB_NO_REGION: regions: no such region: 'none'"],
    [() => regions.values('none', 'i8'), "SEQDB_NO_REGION: regions: no such region: 'none'"],
    [() => regions.values('a', 'int'),
      "SEQDB_ARGUMENT: values: unknown type 'int' (i8, u8, i16, u16, i32, u32, i64, u64, f32, f64)"],
    [() => regions.values('a', 'i64'),
      "SEQDB_ARGUMENT: values: region 'a': its length 10 is no multiple of 8, the size of i64"],
    [() => regions.values('a', 'i16', 3, 3),
      "SEQDB_ARGUMENT: values: region 'a': count 3 from 3 on is past its 5 values"],
    [() => regions.values('a', 'i16', 6), "SEQDB_ARGUMENT: values: region 'a': count 0 from 6 on is past its 5 values"],
  ]) {
    assert.strictEqual(await at(work), said);
  }
  for (const [work, said] of [
    [() => seqdb.regions(db, 'nothing'), /^no such table: nothing$/],
    [() => regions.rename('a', 'b'), /^UNIQUE constraint failed: regions\.name$/],
    [() => regions.rename('a', ''), /^region name '': the name is empty$/],
    [() => regions.aggregate('a', 'i64'), /^seqdb_aggregate: region 'a': its length 10 is no multiple of 8/],
    [() => regions.aggregate('a', 'int'), /^seqdb_aggregate: unknown type 'int'/],
  ]) {
    assert.match((await errorOf(work)).message, said);
  }
  db.exec('CREATE TABLE plain(name, length)');
  assert.match((await errorOf(() => seqdb.regions(db, 'plain'))).message, /^no such column: created$/);
  assert.deepStrictEqual(regions.list(), [{name: 'a', length: 10}, {name: 'b', length: 1}]);
});

// ---- the package -----------------------------------------------------------------------------------------------

test('import and require give the same, and the types name all of it', async (t) => {
  const folder = folderFor(t);
  const own = Object.keys(seqdb).sort();
  const script = path.join(folder, 'import.mjs');
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(packageFolder, path.join(folder, 'node_modules', 'seqdb'));
  fs.writeFileSync(script, `import all, * as names from 'seqdb';
    import {createRequire} from 'node:module';
    const required = createRequire(import.meta.url)('seqdb');
    const {default: _, ...rest} = names;
    console.log(JSON.stringify([Object.keys(rest).sort(), all === required, rest.load === required.load]));`);
  const text = childProcess.execFileSync(process.execPath, [...process.execArgv, script], {encoding: 'utf8'});
  assert.deepStrictEqual(JSON.parse(text), [own, true, true]);
  const types = fs.readFileSync(path.join(packageFolder, 'index.d.ts'), 'utf8');
  const declared = [...types.matchAll(/^export (?:function|const|class) (\w+)/gm)].map((found) => found[1]);
  assert.deepStrictEqual(declared.sort(), own);
});

test('every code of an error is in the types, and in the table of the README, and every one there is used', () => {
  const text = (file) => fs.readFileSync(path.join(packageFolder, file), 'utf8');
  const codes = (source) => [...new Set(source.match(/SEQDB_[A-Z_]+(?=['`])/g))].sort();
  const used = codes(fs.readdirSync(packageFolder).filter((file) => file.endsWith('.js')).map(text).join('\n')
    .replaceAll("'SEQDB_", "'SEQDB_"));
  assert.deepStrictEqual(codes(text('index.d.ts')), used);
  assert.deepStrictEqual(codes(text('README.md')), used);
});

test('the types are what TypeScript takes them for', async (t) => {
  const tsc = childProcess.spawnSync('tsc', ['--version']);
  if (tsc.error) return t.skip('no tsc');
  const folder = folderFor(t);
  fs.mkdirSync(path.join(folder, 'node_modules'));
  fs.symlinkSync(packageFolder, path.join(folder, 'node_modules', 'seqdb'));
  fs.writeFileSync(path.join(folder, 'use.ts'), `
    import * as seqdb from 'seqdb';
    declare const db: seqdb.Database;
    const version: string = seqdb.load(db, {extension: 'x'});
    const numbers: Float32Array = seqdb.regions(db, 'regions').values('a', 'f32');
    seqdb.createReadStream(db, 'regions', 'a', {start: 1}).pipe(seqdb.createWriteStream(db, 'regions', 'b'));
    // @ts-expect-error: no such flags
    seqdb.createWriteStream(db, 'regions', 'b', {flags: 'x'});
    // @ts-expect-error: no such type
    seqdb.regions(db, 'regions').values('a', 'int');
    export {version, numbers};`);
  const done = childProcess.spawnSync('tsc', ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2022',
    ...(process.env.SEQDB_TYPES ? ['--typeRoots', process.env.SEQDB_TYPES, '--types', 'node'] : []), 'use.ts'],
  {cwd: folder, encoding: 'utf8'});
  if (/Cannot find (module|type definition|name).*(node|NodeJS|Buffer)/.test(done.stdout)) {
    return t.skip('no @types/node');
  }
  assert.strictEqual(done.stdout, '');
  return undefined;
});

test('the package has what it needs and nothing else', () => {
  const names = fs.readdirSync(packageFolder).sort();
  assert.deepStrictEqual(names.filter((name) => !/^\w+\.js$/.test(name)),
    ['LICENSE', 'README.md', 'index.d.ts', 'index.mjs', 'lib', 'package.json']);
  const manifest = JSON.parse(fs.readFileSync(path.join(packageFolder, 'package.json'), 'utf8'));
  assert.deepStrictEqual([manifest.name, manifest.license, manifest.engines], ['seqdb', 'MIT', {node: '>=20'}]);
  assert.deepStrictEqual([manifest.dependencies, manifest.scripts, manifest.bin], [undefined, undefined, undefined]);
  assert.ok(!names.includes('bench.js'));
  assert.ok(fs.statSync(seqdb.libraryFile()).size > 100000);
});

test('a process that only requires it loads no SQLite, and ends', async () => {
  const ended = await run(`${prelude}
    console.log(process.moduleLoadList.filter((name) => /sqlite/i.test(name)).length);`);
  assert.deepStrictEqual([ended.code, ended.text], [0, '0\n']);
});

test('random work through both kinds of stream and the object leaves what a model says', async (t) => {
  const {db, regions} = database(t);
  const seed = Number(process.env.SEED) || Date.now() % 1000000;
  let state = seed;
  const pick = (below) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % 65536 % below;
  const model = new Map();
  t.diagnostic(`SEED=${seed}`);
  for (let step = 0; step < 200; step++) {
    const name = 'abc'[pick(3)];
    const bytes = bytesOf(pick(5000), pick(1000) + 1);
    const old = model.get(name);
    const length = old ? old.length : 0;
    const write = async (options) => {
      const stream = seqdb.createWriteStream(db, 'regions', name, options);
      const cut = pick(bytes.length + 1);
      stream.write(bytes.subarray(0, cut));
      if (pick(2)) await new Promise((resolve) => setImmediate(resolve));
      stream.end(bytes.subarray(cut));
      await require('events').once(stream, 'finish');
    };
    const at = pick(length + 1);
    const what = pick(7);
    if (what === 0) {
      regions.append(name, bytes);
      model.set(name, Buffer.concat([old ?? Buffer.alloc(0), bytes]));
    } else if (what === 1) {
      await write({flags: 'a'});
      model.set(name, Buffer.concat([old ?? Buffer.alloc(0), bytes]));
    } else if (what === 2) {
      await write({flags: 'w', start: at});
      model.set(name, Buffer.concat([(old ?? Buffer.alloc(0)).subarray(0, at), bytes]));
    } else if (what === 3 && old) {
      await write({flags: 'r+', start: at});
      model.set(name, Buffer.concat([old.subarray(0, at), bytes, old.subarray(at + bytes.length)]));
    } else if (what === 4) {
      assert.strictEqual(regions.remove(name), model.delete(name));
    } else if (what === 5 && old && !model.has(`${name}.1`)) {
      regions.rename(name, `${name}.1`);
      model.set(`${name}.1`, old);
      model.delete(name);
    } else if (what === 6) {
      db.exec('BEGIN');
      await write({flags: 'w'});
      db.exec('ROLLBACK');
    }
    const expected = [...model.keys()].sort().map((key) => ({name: key, length: model.get(key).length}));
    assert.deepStrictEqual(regions.list(), expected, `SEED=${seed}, step ${step}, ${what}`);
    for (const [key, content] of model) {
      const stream = seqdb.createReadStream(db, 'regions', key, {highWaterMark: 1 + pick(3000)});
      const parts = [];
      for await (const part of stream) parts.push(part);
      assert.ok(Buffer.concat(parts).equals(content), `SEED=${seed}, step ${step}, ${what}, ${key}`);
    }
  }
  assert.strictEqual(value(db, "SELECT seqdb_check('regions')"), 'ok');
});
