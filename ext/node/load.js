// SPDX-License-Identifier: MIT
//
// load.js: loads the extension into a connection, and says in one sentence what is missing.
//
// The library of each platform lies in lib/<platform>-<processor>/, for Linux with musl in lib/linux-<processor>-musl/.
// Whatever can be known before SQLite is asked is looked at first: its own message for a library of another processor
// is that the file does not exist.
'use strict';
const fs = require('fs');
const path = require('path');
const {SeqdbError, argument} = require('./errors.js');
const {version: packageVersion} = require('./package.json');

const leastNode = 20;
const leastSqlite = [3, 38, 0];

// What this process has loaded: path of the library -> version.  All copies of this package share it.
const registry = Symbol.for('seqdb.loaded');
const loaded = globalThis[registry] || (globalThis[registry] = new Map());

// What load() was last called with: follow() does the same in its thread.
const last = {extension: undefined, driver: undefined};

function checkNode() {
  const node = process.versions.node;
  if (parseInt(node, 10) < leastNode) {
    throw new SeqdbError('SEQDB_NODE_TOO_OLD', `seqdb needs Node.js ${leastNode} or newer, and this is ${node}`);
  }
}

// Of this process, as the folders are named.  What links programs with musl is named near the beginning of each.
function platform() {
  let name = `${process.platform}-${process.arch}`;
  if (process.platform === 'linux' && firstBytes(process.execPath, 4096).includes('/ld-musl-')) name += '-musl';
  return name;
}

function firstBytes(file, count) {
  const bytes = Buffer.alloc(count);
  const descriptor = fs.openSync(file, 'r');
  try {
    fs.readSync(descriptor, bytes, 0, count, 0);
  } finally {
    fs.closeSync(descriptor);
  }
  return bytes;
}

const suffix = () => ({darwin: '.dylib', win32: '.dll'}[process.platform] || '.so');

// Where the package's own library is, or would be.
const libraryFile = () => path.join(__dirname, 'lib', platform(), `seqdb${suffix()}`);

const elfProcessors = {0x03: 'ia32', 0x16: 's390x', 0x28: 'arm', 0x3e: 'x64', 0xb7: 'arm64', 0xf3: 'riscv64'};

// What a file was made for, by its first bytes: 'linux-x64', 'darwin', or undefined; and whether its end is missing:
// the system may kill a process that loads such a file.
function madeFor(file) {
  const head = firstBytes(file, 64);
  if (head.readUInt32BE(0) === 0x7f454c46) {
    const number = head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18);
    const system = process.platform === 'freebsd' ? 'freebsd' : 'linux';
    // In a file of 64 bits, little-endian: where the table of sections ends, the last thing in it.
    const end = head[4] === 2 && head[5] === 1
      ? Number(head.readBigUInt64LE(40)) + head.readUInt16LE(58) * head.readUInt16LE(60) : 0;
    return {made: `${system}-${elfProcessors[number] || `processor ${number}`}`, cut: end > fs.statSync(file).size};
  }
  if ([0xcffaedfe, 0xcefaedfe, 0xcafebabe].includes(head.readUInt32BE(0))) return {made: 'darwin'};
  if (head.toString('latin1', 0, 2) === 'MZ') return {made: 'win32'};
  return {};
}

const build = 'build it (meson setup build && ninja -C build) and name it: seqdb.load(db, {extension: file})';

function checkLibrary(file, own) {
  const here = `${process.platform}-${process.arch}`;
  if (!fs.existsSync(file)) {
    if (!own) throw new SeqdbError('SEQDB_LIBRARY_MISSING', `seqdb.load: there is no file ${file}`);
    const folder = path.join(__dirname, 'lib');
    const others = fs.existsSync(folder) ? fs.readdirSync(folder).sort().join(', ') : '';
    throw new SeqdbError('SEQDB_LIBRARY_MISSING',
      `seqdb has no library for ${platform()}: ${file} is missing (there is: ${others || 'none'}); ${build}`);
  }
  if (!fs.statSync(file).isFile()) throw new SeqdbError('SEQDB_LIBRARY_WRONG', `seqdb.load: ${file} is not a file`);
  const {made, cut} = madeFor(file);
  if (made !== here && !(made && here.startsWith(`${made}-`))) {
    throw new SeqdbError('SEQDB_LIBRARY_WRONG',
      `seqdb.load: ${file} is ${made ? `for ${made}` : 'no library'}, and this process is ${here}; ${build}`);
  }
  if (cut) throw new SeqdbError('SEQDB_LIBRARY_WRONG', `seqdb.load: ${file} is cut short: copy or install it anew`);
}

function checkSqlite(connection) {
  const {version} = connection.row('SELECT sqlite_version() AS version');
  const parts = String(version).split('.').map(Number);
  for (let i = 0; i < 3; i++) {
    if (parts[i] > leastSqlite[i]) return;
    if (!(parts[i] >= leastSqlite[i])) {
      throw new SeqdbError('SEQDB_SQLITE_TOO_OLD',
        `seqdb needs SQLite ${leastSqlite.join('.')} or newer, and ${connection.driver} has ${version} inside: ` +
        `take a newer ${connection.driver === 'node:sqlite' ? 'Node.js' : connection.driver}`);
    }
  }
}

// The version that the connection has loaded already, or undefined.
function versionIn(connection) {
  try {
    return connection.row('SELECT seqdb_version() AS version').version;
  } catch (error) {
    if (/no such function/.test(error.message)) return undefined;
    throw error;
  }
}

// Another version in the process, in whatever connection.
function checkVersions(inside) {
  const others = [...loaded].filter(([, version]) => version !== packageVersion);
  if (inside !== undefined && inside !== packageVersion) {
    throw new SeqdbError('SEQDB_TWO_VERSIONS',
      `seqdb ${packageVersion} cannot be loaded: this connection has seqdb ${inside} loaded; ` +
      'install one version for all (npm ls seqdb)');
  }
  if (inside === undefined && others.length > 0) {
    const [file, version] = others[0];
    throw new SeqdbError('SEQDB_TWO_VERSIONS',
      `seqdb ${packageVersion} cannot be loaded: this process has seqdb ${version} loaded, from ${file}; ` +
      'install one version for all (npm ls seqdb)');
  }
}

function askSqlite(connection, file) {
  try {
    connection.db.loadExtension(file);
  } catch (error) {
    if (/not allowed|not authorized|disabled|extension loading/i.test(error.message)) {
      throw new SeqdbError('SEQDB_LOADING_DISABLED', connection.driver === 'node:sqlite'
        ? 'extension loading is off in this DatabaseSync: open it with {allowExtension: true}, ' +
          'and do not call enableLoadExtension(false) before seqdb.load'
        : `extension loading is off in this Database: ${error.message}`, {cause: error});
    }
    throw new SeqdbError('SEQDB_LIBRARY_WRONG', `seqdb.load: ${file} cannot be loaded: ${error.message}`,
      {cause: error});
  }
}

// Loads the extension into a connection, and returns its version.  A second call on a connection does nothing.
function load(db, options = {}) {
  checkNode();
  const {connectionOf} = require('./connection.js');
  if (db && typeof db === 'object' && typeof db.prepare === 'function' && typeof db.loadExtension !== 'function') {
    throw new SeqdbError('SEQDB_NODE_TOO_OLD',
      `this database object cannot load extensions: node:sqlite can from Node.js 22.13 on, and this is ` +
      `${process.versions.node}`);
  }
  const connection = connectionOf(db, 'seqdb.load');
  if (options === null || typeof options !== 'object') throw argument('seqdb.load: options must be an object');
  const {extension} = options;
  if (extension !== undefined && (typeof extension !== 'string' || extension === '')) {
    throw argument('seqdb.load: extension must be the path of the library');
  }
  if (!connection.isOpen()) throw new SeqdbError('SEQDB_CLOSED', 'seqdb.load: the database is closed');
  checkSqlite(connection);
  last.driver = connection.driver;
  const inside = versionIn(connection);
  checkVersions(inside);
  if (inside !== undefined) return inside;
  let file = extension === undefined ? libraryFile() : path.resolve(extension);
  // As SQLite does: the suffix may be left out.
  if (extension !== undefined && !fs.existsSync(file) && fs.existsSync(file + suffix())) file += suffix();
  checkLibrary(file, extension === undefined);
  askSqlite(connection, file);
  const version = versionIn(connection);
  loaded.set(file, version);
  last.extension = file;
  if (version !== packageVersion) {
    throw new SeqdbError('SEQDB_TWO_VERSIONS',
      `seqdb.load: ${file} is version ${version}, and this package is ${packageVersion}: take both from one release`);
  }
  return version;
}

module.exports = {load, checkNode, platform, libraryFile, last};
