// SPDX-License-Identifier: MIT
//
// node_sqlite.mjs: regions and rows in one database, with node:sqlite, which is part of Node.js from 22.13 on.
//
//   node node_sqlite.mjs PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
import {DatabaseSync} from 'node:sqlite';

const db = new DatabaseSync('demo.db', {allowExtension: true});
db.loadExtension(process.argv[2]);
db.exec('PRAGMA busy_timeout = 5000');

const value = (sql, ...values) => Object.values(db.prepare(sql).get(...values))[0];
const hex = (bytes) => Buffer.from(bytes).toString('hex'); // blobs come as Uint8Array
const state = () => value(`SELECT printf('%d note, %d bytes in the log', (SELECT count(*) FROM note), length)
                           FROM regions WHERE name = 'log'`);

console.log(`SQLite ${value('SELECT sqlite_version()')}, seqdb ${value('SELECT seqdb_version()')}`);
console.log(`journal mode: ${value('PRAGMA journal_mode = WAL')}`);
db.exec('CREATE TABLE IF NOT EXISTS note(text TEXT)');
db.exec("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')");

const append = db.prepare('INSERT INTO regions(name, append) VALUES (?, ?)');
const note = db.prepare('INSERT INTO note VALUES (?)');

// The module has no function for a transaction: an exception rolls back, rows and regions alike.
function transaction(work) {
  db.exec('BEGIN IMMEDIATE');
  try {
    work();
    db.exec('COMMIT');
  } catch (error) {
    if (db.isTransaction ?? true) db.exec('ROLLBACK');
    throw error;
  }
}

transaction(() => {
  note.run('two lines');
  append.run('log', Buffer.from('first\n')); // a string would be bound as text
  append.run('log', Buffer.from('second\n'));
  append.run('raw', Buffer.from([0x00, 0xff, 0x80, 0x01]));
});
console.log(`committed: ${state()}`);

try {
  transaction(() => {
    note.run('never to be');
    append.run('log', Buffer.from('third\n'));
    throw new Error('something went wrong');
  });
} catch (error) {
  if (error.message !== 'something went wrong') throw error;
}
console.log(`rolled back: ${state()}`);

console.log(`content: ${hex(value('SELECT content FROM regions WHERE name = ?', 'raw'))}`);
const part = value('SELECT substr(content, ?, ?) FROM regions WHERE name = ?', 2, 2, 'raw');
console.log(`a part by substr: ${hex(part)}`);
console.log(`a part by seqdb_read: ${hex(value("SELECT seqdb_read('regions', ?, ?, ?)", 'raw', 1, 2))}`);

transaction(() => {
  db.prepare('UPDATE regions SET length = ? WHERE name = ?').run(5, 'log');
  db.prepare('UPDATE regions SET content = ? WHERE name = ?').run(Buffer.from([2]), 'raw');
});
const contents = db.prepare('SELECT content FROM regions ORDER BY name').all();
console.log(`cut and replaced: ${contents.map((row) => hex(row.content)).join(', ')}`);

transaction(() => {
  db.prepare('DELETE FROM regions WHERE name IN (?, ?)').run('log', 'raw');
  db.prepare('DELETE FROM note').run();
});
console.log(`removed: ${value('SELECT count(*) FROM regions')} regions left`);
console.log(`check: ${value("SELECT seqdb_check('regions')")}`);
db.close();
