// SPDX-License-Identifier: MIT
//
// load.js: loading, and each way in which it cannot be: one clear error, and the process goes on.
'use strict';
const test = require('node:test');
const assert = require('node:assert');
const fs = require('fs');
const path = require('path');
const {seqdb, driver, packageFolder, openFile, folderFor, database, value, brief, errorOf, prelude, run} =
  require('./helper.js');

const library = seqdb.libraryFile();
const manifest = require(path.join(packageFolder, 'package.json'));

// The library with some bytes changed, as a file in the folder.
function changedLibrary(folder, change) {
  const file = path.join(folder, 'changed.so');
  fs.writeFileSync(file, change(fs.readFileSync(library)));
  return file;
}

// A copy of the package that says it is of another version, with a library that says so too.
function otherVersion(folder, version) {
  const copy = path.join(folder, 'seqdb');
  fs.cpSync(packageFolder, copy, {recursive: true});
  const text = JSON.stringify({...manifest, version});
  fs.writeFileSync(path.join(copy, 'package.json'), text);
  const file = path.join(copy, path.relative(packageFolder, library));
  const bytes = fs.readFileSync(file);
  for (let at = bytes.indexOf(`${manifest.version}\0`); at >= 0; at = bytes.indexOf(`${manifest.version}\0`, at + 1)) {
    bytes.write(version, at);
  }
  fs.writeFileSync(file, bytes);
  return copy;
}

test('load gives the version of package and library, and a second call does nothing', (t) => {
  const {db} = database(t);
  assert.strictEqual(seqdb.load(db), manifest.version);
  assert.strictEqual(seqdb.version, manifest.version);
  assert.strictEqual(value(db, 'SELECT seqdb_version()'), manifest.version);
});

test('a library is loaded by its path, with its suffix and without it', async (t) => {
  for (const extension of [library, library.replace(/\.\w+$/, '')]) {
    const db = openFile(':memory:');
    assert.strictEqual(seqdb.load(db, {extension}), manifest.version);
    db.close();
  }
});

test('what is no database, a closed one, and wrong options are told', async (t) => {
  for (const wrong of [undefined, null, {}, 'test.db', 7]) {
    assert.match(brief(await errorOf(() => seqdb.load(wrong))),
      /^SEQDB_ARGUMENT: seqdb\.load: db must be a Database of better-sqlite3 or a DatabaseSync of node:sqlite$/);
  }
  const db = openFile(':memory:');
  for (const extension of [7, '', null]) {
    assert.strictEqual(brief(await errorOf(() => seqdb.load(db, {extension}))),
      'SEQDB_ARGUMENT: seqdb.load: extension must be the path of the library');
  }
  assert.strictEqual(brief(await errorOf(() => seqdb.load(db, null))),
    'SEQDB_ARGUMENT: seqdb.load: options must be an object');
  db.close();
  const error = await errorOf(() => seqdb.load(db));
  assert.match(brief(error), /^SEQDB_CLOSED: seqdb\.load: the database is closed$|database is not open/);
});

test('an older Node.js is told when the package is required', async () => {
  const ended = await run(`
    Object.defineProperty(process, 'versions', {value: {...process.versions, node: '18.20.4'}});
    try { require(process.argv[1]); } catch (error) { console.log(error.code, error.message); }`, packageFolder);
  assert.deepStrictEqual([ended.code, ended.text],
    [0, 'SEQDB_NODE_TOO_OLD seqdb needs Node.js 20 or newer, and this is 18.20.4\n']);
});

test('a DatabaseSync of a Node.js that loads no extensions is told', async () => {
  class DatabaseSync {
    prepare() {}
  }
  assert.match(brief(await errorOf(() => seqdb.load(new DatabaseSync()))),
    /^SEQDB_NODE_TOO_OLD: this database object cannot load extensions: node:sqlite can from Node\.js 22\.13 on, and /);
});

test('an older SQLite is told, with both versions', async () => {
  for (const version of ['3.37.2', '3.8.11', '2.99.0', '3.38']) {
    const db = openFile(':memory:');
    db.function('sqlite_version', () => version);
    assert.match(brief(await errorOf(() => seqdb.load(db))), new RegExp(
      `^SEQDB_SQLITE_TOO_OLD: seqdb needs SQLite 3\\.38\\.0 or newer, and ${driver} has ${version} inside: take `));
    db.close();
  }
  for (const version of ['3.38.0', '3.53.2', '4.0.0']) {
    const db = openFile(':memory:');
    db.function('sqlite_version', () => version);
    assert.strictEqual(seqdb.load(db), manifest.version);
    db.close();
  }
});

test('a platform that the package has no library for is named, with the file and what there is', async () => {
  const ended = await run(`${prelude}
    Object.defineProperty(process, 'arch', {value: 'mips'});
    const db = openFile(':memory:');
    try { seqdb.load(db); } catch (error) { console.log(error.code, error.message); }
    console.log(value(db, 'SELECT 1'));`);
  const [first, second] = ended.text.split('\n');
  const here = path.basename(path.dirname(library));
  assert.ok(first.startsWith(`SEQDB_LIBRARY_MISSING seqdb has no library for ${process.platform}-mips`), ended.text);
  assert.ok(first.includes('seqdb.so is missing'), first);
  assert.ok(first.includes(`(there is: ${here})`), first);
  assert.ok(first.endsWith('and name it: seqdb.load(db, {extension: file})'), first);
  assert.deepStrictEqual([second, ended.code], ['1', 0]);
});

test('a library that is not there, is a folder, is for another processor, is cut or is none is told', async (t) => {
  const folder = folderFor(t);
  const db = openFile(':memory:');
  const told = async (extension) => brief(await errorOf(() => seqdb.load(db, {extension}))).replaceAll(folder, '');
  assert.strictEqual(await told(path.join(folder, 'none.so')),
    'SEQDB_LIBRARY_MISSING: seqdb.load: there is no file /none.so');
  assert.strictEqual(await told(folder), 'SEQDB_LIBRARY_WRONG: seqdb.load:  is not a file');
  const here = `${process.platform}-${process.arch}`;
  const other = process.arch === 'arm64' ? ['x64', 0x3e] : ['arm64', 0xb7];
  const foreign = changedLibrary(folder, (bytes) => {
    bytes.writeUInt16LE(other[1], 18);
    return bytes;
  });
  assert.match(await told(foreign), new RegExp('^SEQDB_LIBRARY_WRONG: seqdb\\.load: /changed\\.so is for ' +
    `linux-${other[0]}, and this process is ${here}; build it `));
  const beginnings = [['darwin', 'cffaedfe'], ['win32', '4d5a9000']];
  for (const [made, hex] of beginnings) {
    changedLibrary(folder, () => Buffer.from(hex.padEnd(200, '0'), 'hex'));
    assert.match(await told(foreign), new RegExp(`^SEQDB_LIBRARY_WRONG: .*/changed\\.so is for ${made}, and this `));
  }
  changedLibrary(folder, () => Buffer.from('not a library at all'));
  assert.match(await told(foreign), /^SEQDB_LIBRARY_WRONG: .*\/changed\.so is no library, and this process is /);
  changedLibrary(folder, () => Buffer.alloc(0));
  assert.match(await told(foreign), /^SEQDB_LIBRARY_WRONG: .*\/changed\.so is no library, and this process is /);
  for (const length of [64, 4096, 100000]) {
    changedLibrary(folder, (bytes) => bytes.subarray(0, length));
    assert.strictEqual(await told(foreign),
      'SEQDB_LIBRARY_WRONG: seqdb.load: /changed.so is cut short: copy or install it anew');
  }
  // A library, and not ours.
  fs.writeFileSync(foreign, changedEntry());
  assert.match(await told(foreign), /^SEQDB_LIBRARY_WRONG: seqdb\.load: \/changed\.so cannot be loaded: /);
  assert.strictEqual(value(db, 'SELECT 1'), 1);
  assert.strictEqual(seqdb.load(db), manifest.version);
  db.close();
});

// The library without its entry point: the name is another one.
function changedEntry() {
  const bytes = fs.readFileSync(library);
  for (let at = bytes.indexOf('sqlite3_seqdb_init'); at >= 0; at = bytes.indexOf('sqlite3_seqdb_init', at + 1)) {
    bytes.write('another', at);
  }
  return bytes;
}

test('a connection in which extension loading is off is told', {
  skip: driver === 'better-sqlite3' && 'better-sqlite3 cannot switch extension loading off',
}, async () => {
  const said = 'SEQDB_LOADING_DISABLED: extension loading is off in this DatabaseSync: open it with ' +
    '{allowExtension: true}, and do not call enableLoadExtension(false) before seqdb.load';
  const db = openFile(':memory:', {allowExtension: false});
  assert.strictEqual(brief(await errorOf(() => seqdb.load(db))), said);
  assert.strictEqual(value(db, 'SELECT 1'), 1);
  db.close();
  const off = openFile(':memory:');
  off.enableLoadExtension(false);
  assert.strictEqual(brief(await errorOf(() => seqdb.load(off))), said);
  off.enableLoadExtension(true);
  assert.strictEqual(seqdb.load(off), manifest.version);
  off.close();
});

test('two versions in one process: the second one is refused, in the same connection and in another', async (t) => {
  const folder = folderFor(t);
  const version = manifest.version.replace(/\d+$/, (last) => (Number(last) + 1) % 10);
  const copy = otherVersion(folder, version);
  const ended = await run(`${prelude}
    const other = require(process.argv[1]);
    const told = (work) => { try { console.log(work()); } catch (error) { console.log(error.code, error.message); } };
    const first = openFile(process.argv[2] + '/test.db');
    const second = openFile(process.argv[2] + '/test.db');
    told(() => other.load(first));
    told(() => seqdb.load(first));
    told(() => seqdb.load(second));
    told(() => other.load(second));
    first.exec("PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE regions USING seqdb('regions')");
    other.regions(first, 'regions').append('a', 'bytes');
    told(() => other.regions(second, 'regions').read('a').toString());`, copy, folder);
  const file = path.join(copy, path.relative(packageFolder, library));
  const ways = 'install one version for all (npm ls seqdb)';
  assert.deepStrictEqual([ended.code, ended.signal, ended.text.split('\n')], [0, null, [
    version,
    `SEQDB_TWO_VERSIONS seqdb ${manifest.version} cannot be loaded: this connection has seqdb ${version} loaded; ` +
      ways,
    `SEQDB_TWO_VERSIONS seqdb ${manifest.version} cannot be loaded: this process has seqdb ${version} loaded, ` +
      `from ${file}; ${ways}`,
    version,
    'bytes',
    '',
  ]]);
});

test('a library of another version than the package is told', async (t) => {
  const folder = folderFor(t);
  const version = manifest.version.replace(/\d+$/, (last) => (Number(last) + 1) % 10);
  const copy = otherVersion(folder, version);
  fs.writeFileSync(path.join(copy, 'package.json'), JSON.stringify(manifest));
  const ended = await run(`${prelude}
    try { console.log(require(process.argv[1]).load(openFile(':memory:'))); }
    catch (error) { console.log(error.code, error.message); }`, copy);
  assert.match(ended.text, new RegExp(
    `^SEQDB_TWO_VERSIONS seqdb\\.load: /.* is version ${version}, and this package is ${manifest.version}: take both`));
});

test('two copies of the same version work beside each other', async (t) => {
  const folder = folderFor(t);
  const copy = otherVersion(folder, manifest.version);
  const ended = await run(`${prelude}
    const other = require(process.argv[1]);
    const first = openFile(process.argv[2] + '/test.db');
    const second = openFile(process.argv[2] + '/test.db');
    console.log(seqdb.load(first) === other.load(second) && other.load(first) === seqdb.load(second));
    first.exec("PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE regions USING seqdb('regions')");
    seqdb.regions(first, 'regions').append('a', 'one, ');
    other.regions(second, 'regions').append('a', 'two');
    console.log(seqdb.regions(first, 'regions').read('a').toString());`, copy, folder);
  assert.deepStrictEqual([ended.code, ended.text], [0, 'true\none, two\n']);
});

test('it loads in a worker thread too', async (t) => {
  const {file, regions} = database(t);
  regions.append('a', 'bytes');
  const {Worker} = require('worker_threads');
  const worker = new Worker(`${prelude}
    const db = openFile(require('worker_threads').workerData);
    seqdb.load(db);
    require('worker_threads').parentPort.postMessage(seqdb.regions(db, 'regions').read('a').toString());
    db.close();`, {eval: true, workerData: file});
  const [said] = await require('events').once(worker, 'message');
  assert.strictEqual(said, 'bytes');
  await worker.terminate();
});
