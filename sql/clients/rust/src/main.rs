// SPDX-License-Identifier: MIT
//
// main.rs: regions and rows in one database, with rusqlite.
//
//   cargo run -- PATH/OF/seqdb        in a folder for demo.db; prints what ../../README.md shows
use rusqlite::{params, Connection, LoadExtensionGuard, Result, Transaction, TransactionBehavior};
use std::time::Duration;

fn open(extension: &str) -> Result<Connection> {
    let db = Connection::open("demo.db")?;
    db.busy_timeout(Duration::from_secs(5))?;
    // Safe if the file is what it says: its code runs in this process.
    unsafe {
        let _guard = LoadExtensionGuard::new(&db)?;
        db.load_extension(extension, None)?;
    }
    Ok(db)
}

fn begin(db: &mut Connection) -> Result<Transaction<'_>> {
    db.transaction_with_behavior(TransactionBehavior::Immediate)
}

// execute() is for statements that return no rows: SELECT seqdb_append() would be done, and then be called an error.
fn append(tx: &Transaction, name: &str, bytes: &[u8]) -> Result<usize> {
    tx.execute("INSERT INTO regions(name, append) VALUES (?, ?)", params![name, bytes])
}

fn text(db: &Connection, sql: &str) -> Result<String> {
    db.query_row(sql, [], |row| row.get(0))
}

fn state(db: &Connection) -> Result<String> {
    let sql = "SELECT (SELECT count(*) FROM note), length FROM regions WHERE name = 'log'";
    db.query_row(sql, [], |row| {
        let (notes, length): (i64, i64) = (row.get(0)?, row.get(1)?);
        Ok(format!("{notes} note, {length} bytes in the log"))
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

// get_ref() lends the bytes where they lie, until the next row; get::<_, Vec<u8>>() would copy them.
fn hex_of(db: &Connection, sql: &str, values: impl rusqlite::Params) -> Result<String> {
    db.query_row(sql, values, |row| Ok(hex(row.get_ref(0)?.as_blob()?)))
}

fn contents(db: &Connection) -> Result<String> {
    let mut statement = db.prepare("SELECT content FROM regions ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok(hex(row.get_ref(0)?.as_blob()?)))?;
    Ok(rows.collect::<Result<Vec<_>>>()?.join(", "))
}

fn main() -> Result<()> {
    let extension = std::env::args().nth(1).expect("the extension's path");
    let mut db = open(&extension)?;
    println!("SQLite {}, seqdb {}", text(&db, "SELECT sqlite_version()")?, text(&db, "SELECT seqdb_version()")?);
    println!("journal mode: {}", text(&db, "PRAGMA journal_mode = WAL")?);
    db.execute_batch(
        "CREATE TABLE IF NOT EXISTS note(text TEXT);
         CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions');",
    )?;

    let tx = begin(&mut db)?;
    tx.execute("INSERT INTO note VALUES (?)", ["two lines"])?;
    append(&tx, "log", b"first\n")?;
    append(&tx, "log", b"second\n")?;
    append(&tx, "raw", b"\x00\xff\x80\x01")?;
    tx.commit()?;
    println!("committed: {}", state(&db)?);

    // A transaction that is dropped without commit(), as `?` does, is rolled back, rows and regions alike.
    {
        let tx = begin(&mut db)?;
        tx.execute("INSERT INTO note VALUES (?)", ["never to be"])?;
        append(&tx, "log", b"third\n")?;
    }
    println!("rolled back: {}", state(&db)?);

    println!("content: {}", hex_of(&db, "SELECT content FROM regions WHERE name = ?", ["raw"])?);
    let part = "SELECT substr(content, ?, ?) FROM regions WHERE name = ?";
    println!("a part by substr: {}", hex_of(&db, part, params![2, 2, "raw"])?);
    let part = "SELECT seqdb_read('regions', ?, ?, ?)";
    println!("a part by seqdb_read: {}", hex_of(&db, part, params!["raw", 1, 2])?);

    let tx = begin(&mut db)?;
    tx.execute("UPDATE regions SET length = ? WHERE name = ?", params![5, "log"])?;
    tx.execute("UPDATE regions SET content = ? WHERE name = ?", params![b"\x02", "raw"])?;
    tx.commit()?;
    println!("cut and replaced: {}", contents(&db)?);

    let tx = begin(&mut db)?;
    tx.execute("DELETE FROM regions WHERE name IN (?, ?)", ["log", "raw"])?;
    tx.execute("DELETE FROM note", [])?;
    tx.commit()?;
    let left: i64 = db.query_row("SELECT count(*) FROM regions", [], |row| row.get(0))?;
    println!("removed: {left} regions left");
    println!("check: {}", text(&db, "SELECT seqdb_check('regions')")?);
    db.close().map_err(|(_, error)| error)
}
