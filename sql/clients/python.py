# SPDX-License-Identifier: MIT
#
# python.py: regions and rows in one database, with the sqlite3 module as it is imported, in its default isolation mode.
#
#   python3 python.py PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
import sqlite3
import sys

db = sqlite3.connect("demo.db", timeout=5)  # seconds: the busy timeout
db.enable_load_extension(True)
db.load_extension(sys.argv[1])
db.enable_load_extension(False)


def value(sql, *arguments):
    return db.execute(sql, arguments).fetchone()[0]


def state():
    return "%d note, %d bytes in the log" % db.execute(
        "SELECT (SELECT count(*) FROM note), length FROM regions WHERE name = 'log'"
    ).fetchone()


print("SQLite %s, seqdb %s" % (value("SELECT sqlite_version()"), value("SELECT seqdb_version()")))
print("journal mode: " + value("PRAGMA journal_mode = WAL"))
db.execute("CREATE TABLE IF NOT EXISTS note(text TEXT)")
db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')")

# One transaction: the module begins it before the first INSERT, UPDATE or DELETE, `with` commits it.
with db:
    db.execute("INSERT INTO note VALUES (?)", ("two lines",))
    db.executemany(
        "INSERT INTO regions(name, append) VALUES (?, ?)",
        [("log", b"first\n"), ("log", b"second\n"), ("raw", b"\x00\xff\x80\x01")],
    )
print("committed: " + state())

# An exception inside `with` rolls back, rows and regions alike.
try:
    with db:
        db.execute("INSERT INTO note VALUES (?)", ("never to be",))
        db.execute("INSERT INTO regions(name, append) VALUES (?, ?)", ("log", b"third\n"))
        raise ValueError("something went wrong")
except ValueError:
    pass
print("rolled back: " + state())

print("content: " + value("SELECT content FROM regions WHERE name = ?", "raw").hex())
print("a part by substr: " + value("SELECT substr(content, ?, ?) FROM regions WHERE name = ?", 2, 2, "raw").hex())
print("a part by seqdb_read: " + value("SELECT seqdb_read('regions', ?, ?, ?)", "raw", 1, 2).hex())

with db:
    db.execute("UPDATE regions SET length = ? WHERE name = ?", (5, "log"))
    db.execute("UPDATE regions SET content = ? WHERE name = ?", (b"\x02", "raw"))
print("cut and replaced: %s, %s" % tuple(
    content.hex() for content, in db.execute("SELECT content FROM regions ORDER BY name")
))

with db:
    db.execute("DELETE FROM regions WHERE name IN (?, ?)", ("log", "raw"))
    db.execute("DELETE FROM note")
print("removed: %d regions left" % value("SELECT count(*) FROM regions"))
print("check: " + value("SELECT seqdb_check('regions')"))
db.close()  # `with` does not close
