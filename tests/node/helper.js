// SPDX-License-Identifier: MIT
//
// helper.js: what the tests of the Node.js package share.
//
// From the environment, which tests/project/node.test sets: SEQDB_PACKAGE, the folder of the installed package;
// SEQDB_DRIVER, better-sqlite3 or node:sqlite; SEQDB_SCRATCH, a folder for files.
'use strict';
const childProcess = require('child_process');
const fs = require('fs');
const path = require('path');

const packageFolder = process.env.SEQDB_PACKAGE;
const driver = process.env.SEQDB_DRIVER;
const seqdb = require(packageFolder);

function openFile(file, options = {}) {
  if (driver === 'better-sqlite3') return new (require('better-sqlite3'))(file, {timeout: options.timeout ?? 5000});
  const {DatabaseSync} = require('node:sqlite');
  const db = new DatabaseSync(file, {allowExtension: options.allowExtension ?? true});
  db.exec(`PRAGMA busy_timeout = ${options.timeout ?? 5000}`);
  return db;
}

// A folder of its own for a test, which goes with it.
function folderFor(test) {
  const folder = fs.mkdtempSync(path.join(process.env.SEQDB_SCRATCH, 'node-'));
  test.after(() => fs.rmSync(folder, {recursive: true, force: true}));
  return folder;
}

// {folder, file, db, regions, another()} with a table `regions`; connections are closed with the test.
function database(test) {
  const folder = folderFor(test);
  const file = path.join(folder, 'test.db');
  const open = [];
  const another = (options) => {
    const db = openFile(file, options);
    open.push(db);
    seqdb.load(db);
    return db;
  };
  const db = another();
  test.after(() => open.forEach((each) => {
    try {
      each.close();
    } catch {
      // The test has closed it.
    }
  }));
  db.exec('PRAGMA journal_mode = WAL');
  db.exec("CREATE VIRTUAL TABLE regions USING seqdb('regions')");
  return {folder, file, db, regions: seqdb.regions(db, 'regions'), another};
}

const value = (db, sql, ...values) => Object.values(db.prepare(sql).get(...values))[0];

// Bytes that differ wherever they are.
function bytesOf(count, seed = 1) {
  const bytes = Buffer.alloc(count);
  let state = (seed * 2654435761) >>> 0;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

async function allOf(stream) {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

// The error of a stream, or of a promise or function; an error if there is none.
async function errorOf(work) {
  try {
    const result = typeof work === 'function' ? await work() : await work;
    if (result && typeof result[Symbol.asyncIterator] === 'function') await allOf(result);
  } catch (error) {
    return error;
  }
  throw new Error('no error');
}

const brief = (error) => `${error.code}: ${error.message}`;

// A script in a process of its own; {code, signal, text, ms}.  `prelude` has openFile and seqdb.
const prelude = `
  const {openFile, seqdb, bytesOf, value} = require(${JSON.stringify(__filename)});
`;
function start(script, ...args) {
  return childProcess.spawn(process.execPath, [...process.execArgv, '-e', script, '--', ...args.map(String)],
    {stdio: ['pipe', 'pipe', 'pipe'], env: {...process.env, NODE_TEST_CONTEXT: undefined}});
}
async function run(script, ...args) {
  const begin = Date.now();
  const child = start(script, ...args);
  let text = '';
  child.stdout.on('data', (part) => (text += part));
  child.stderr.on('data', (part) => (text += part));
  const timer = setTimeout(() => child.kill('SIGKILL'), 60000);
  const [code, signal] = await new Promise((resolve) => child.on('close', (...ended) => resolve(ended)));
  clearTimeout(timer);
  return {code, signal, text, ms: Date.now() - begin};
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

module.exports = {
  seqdb, driver, packageFolder, openFile, folderFor, database, value, bytesOf, allOf, errorOf, brief, prelude, start,
  run, sleep,
};
