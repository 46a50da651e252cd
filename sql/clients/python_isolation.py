# SPDX-License-Identifier: MIT
#
# python_isolation.py: one rolled-back and one committed append in each of the sqlite3 module's isolation modes.
#
#   python3 python_isolation.py PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
#
# In the default mode only a statement whose first word is INSERT, UPDATE, DELETE or REPLACE begins a transaction.
# SELECT seqdb_append() does not: it commits at once, and rollback() has nothing to roll back.
import sqlite3
import sys

APPEND = "INSERT INTO regions(name, append) VALUES (?, ?)"


def connect(**options):
    db = sqlite3.connect("demo.db", timeout=5, **options)
    db.enable_load_extension(True)
    db.load_extension(sys.argv[1])
    db.enable_load_extension(False)
    return db


def bytes_in_log(db):
    return db.execute("SELECT coalesce((SELECT length FROM regions WHERE name = 'log'), 0)").fetchone()[0]


def try_mode(name, by_hand=False, **options):
    def end(method, sql):
        db.execute(sql) if by_hand else method()

    db = connect(**options)
    before = bytes_in_log(db)
    if by_hand:
        db.execute("BEGIN IMMEDIATE")
    db.execute(APPEND, ("log", b"rolled back"))
    end(db.rollback, "ROLLBACK")
    rolled_back = bytes_in_log(db) - before
    if by_hand:
        db.execute("BEGIN IMMEDIATE")
    db.execute(APPEND, ("log", b"kept"))
    end(db.commit, "COMMIT")
    # Another connection sees what is committed, and only that.
    other = connect()
    print("%s: rolled back %d, committed %d" % (name, rolled_back, bytes_in_log(other) - before))
    other.close()
    db.close()


db = connect()
db.execute("PRAGMA journal_mode = WAL")
db.execute("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')")
db.execute("DELETE FROM regions")
db.commit()
db.close()

try_mode("default")
try_mode("isolation_level='IMMEDIATE'", isolation_level="IMMEDIATE")
try_mode("isolation_level=None, BEGIN by hand", by_hand=True, isolation_level=None)
if sys.version_info >= (3, 12):
    try_mode("autocommit=False", autocommit=False)
    try_mode("autocommit=True, BEGIN by hand", by_hand=True, autocommit=True)
else:
    print("autocommit=: Python 3.12 and newer")

# What the mode does not see.
db = connect()
before = bytes_in_log(db)
db.execute("SELECT seqdb_append('regions', 'log', ?)", (b"stays",)).fetchone()
db.rollback()
print("SELECT seqdb_append() and rollback(): %d bytes stay" % (bytes_in_log(db) - before))
db.close()
