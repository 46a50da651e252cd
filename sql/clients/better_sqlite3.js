// SPDX-License-Identifier: MIT
//
// better_sqlite3.js: regions and rows in one database, with better-sqlite3.
//
//   node better_sqlite3.js PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
'use strict';
const Database = require('better-sqlite3');

const db = new Database('demo.db', {timeout: 5000}); // milliseconds: the busy timeout
db.loadExtension(process.argv[2]);

const value = (sql, ...values) => db.prepare(sql).pluck().get(...values);
const state = () => value(`SELECT printf('%d note, %d bytes in the log', (SELECT count(*) FROM note), length)
                           FROM regions WHERE name = 'log'`);

console.log(`SQLite ${value('SELECT sqlite_version()')}, seqdb ${value('SELECT seqdb_version()')}`);
console.log(`journal mode: ${db.pragma('journal_mode = WAL', {simple: true})}`);
db.exec('CREATE TABLE IF NOT EXISTS note(text TEXT)');
db.exec("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')");

const append = db.prepare('INSERT INTO regions(name, append) VALUES (?, ?)');
const note = db.prepare('INSERT INTO note VALUES (?)');

db.transaction(() => {
  note.run('two lines');
  append.run('log', Buffer.from('first\n')); // a string would be bound as text
  append.run('log', Buffer.from('second\n'));
  append.run('raw', Buffer.from([0x00, 0xff, 0x80, 0x01]));
}).immediate();
console.log(`committed: ${state()}`);

// An exception inside transaction() rolls back, rows and regions alike.
const failing = db.transaction(() => {
  note.run('never to be');
  append.run('log', Buffer.from('third\n'));
  throw new Error('something went wrong');
});
try {
  failing.immediate();
} catch (error) {
  if (error.message !== 'something went wrong') throw error;
}
console.log(`rolled back: ${state()}`);

const content = value('SELECT content FROM regions WHERE name = ?', 'raw');
console.log(`content: ${content.toString('hex')}`);
const part = value('SELECT substr(content, ?, ?) FROM regions WHERE name = ?', 2, 2, 'raw');
console.log(`a part by substr: ${part.toString('hex')}`);
const read = value("SELECT seqdb_read('regions', ?, ?, ?)", 'raw', 1, 2);
console.log(`a part by seqdb_read: ${read.toString('hex')}`);

db.transaction(() => {
  db.prepare('UPDATE regions SET length = ? WHERE name = ?').run(5, 'log');
  db.prepare('UPDATE regions SET content = ? WHERE name = ?').run(Buffer.from([2]), 'raw');
}).immediate();
const contents = db.prepare('SELECT content FROM regions ORDER BY name').pluck().all();
console.log(`cut and replaced: ${contents.map((bytes) => bytes.toString('hex')).join(', ')}`);

db.transaction(() => {
  db.prepare('DELETE FROM regions WHERE name IN (?, ?)').run('log', 'raw');
  db.prepare('DELETE FROM note').run();
}).immediate();
console.log(`removed: ${value('SELECT count(*) FROM regions')} regions left`);
console.log(`check: ${value("SELECT seqdb_check('regions')")}`);
db.close();
