# SPDX-License-Identifier: MIT
#
# apsw_demo.py: regions and rows in one database, with APSW. (A file named apsw.py would be imported instead of APSW.)
#
#   python3 apsw_demo.py PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
import sys

import apsw

db = apsw.Connection("demo.db")
db.setbusytimeout(5000)
db.enableloadextension(True)
db.loadextension(sys.argv[1])
db.enableloadextension(False)


def run(sql, *arguments):
    return db.cursor().execute(sql, arguments)


def value(sql, *arguments):
    return run(sql, *arguments).fetchone()[0]


def state():
    return "%d note, %d bytes in the log" % run(
        "SELECT (SELECT count(*) FROM note), length FROM regions WHERE name = 'log'"
    ).fetchone()


print("SQLite %s, seqdb %s" % (value("SELECT sqlite_version()"), value("SELECT seqdb_version()")))
print("journal mode: " + value("PRAGMA journal_mode = WAL"))
run("CREATE TABLE IF NOT EXISTS note(text TEXT)")
run("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')")

# `with` is a savepoint: committed at its end, rolled back by an exception. Without it each statement is a transaction.
with db:
    run("INSERT INTO note VALUES (?)", "two lines")
    db.cursor().executemany(
        "INSERT INTO regions(name, append) VALUES (?, ?)",
        [("log", b"first\n"), ("log", b"second\n"), ("raw", b"\x00\xff\x80\x01")],
    )
print("committed: " + state())

try:
    with db:
        run("INSERT INTO note VALUES (?)", "never to be")
        run("INSERT INTO regions(name, append) VALUES (?, ?)", "log", b"third\n")
        raise ValueError("something went wrong")
except ValueError:
    pass
print("rolled back: " + state())

print("content: " + value("SELECT content FROM regions WHERE name = ?", "raw").hex())
print("a part by substr: " + value("SELECT substr(content, ?, ?) FROM regions WHERE name = ?", 2, 2, "raw").hex())
print("a part by seqdb_read: " + value("SELECT seqdb_read('regions', ?, ?, ?)", "raw", 1, 2).hex())

with db:
    run("UPDATE regions SET length = ? WHERE name = ?", 5, "log")
    run("UPDATE regions SET content = ? WHERE name = ?", b"\x02", "raw")
print("cut and replaced: " + ", ".join(content.hex() for content, in run("SELECT content FROM regions ORDER BY name")))

with db:
    run("DELETE FROM regions WHERE name IN (?, ?)", "log", "raw")
    run("DELETE FROM note")
print("removed: %d regions left" % value("SELECT count(*) FROM regions"))
print("check: " + value("SELECT seqdb_check('regions')"))
db.close()
