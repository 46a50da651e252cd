# SPDX-License-Identifier: MIT
#
# sqlalchemy_isolation.py: what SQLAlchemy's rollback undoes on top of the sqlite3 module, and how to make it undo all.
#
#   python3 sqlalchemy_isolation.py PATH/OF/seqdb        in a folder for demo.db; prints what README.md shows
#
# The module begins a transaction before INSERT, UPDATE and DELETE only.  A SELECT that writes and a SAVEPOINT that
# comes first stand outside of it, with ordinary tables too.  With the second listener SQLAlchemy says BEGIN itself.
import sys

from sqlalchemy import create_engine, event, text
from sqlalchemy.orm import Session


def new_engine(begin_all):
    engine = create_engine("sqlite:///demo.db", connect_args={"timeout": 5}, future=True)

    @event.listens_for(engine, "connect")
    def set_up(db, record):
        db.enable_load_extension(True)
        db.load_extension(sys.argv[1])
        db.enable_load_extension(False)
        db.execute("PRAGMA journal_mode = WAL")
        if begin_all:
            db.isolation_level = None

    if begin_all:

        @event.listens_for(engine, "begin")
        def begin(connection):
            connection.exec_driver_sql("BEGIN")

    return engine


def bytes_in_log(engine):
    with Session(engine) as session:
        return session.scalar(text("SELECT coalesce((SELECT length FROM regions WHERE name = 'log'), 0)"))


def bytes_left(engine, work):
    before = bytes_in_log(engine)
    with Session(engine) as session:
        work(session)
        session.rollback()
    return bytes_in_log(engine) - before


def insert(session):
    session.execute(text("INSERT INTO regions(name, append) VALUES ('log', :bytes)"), {"bytes": b"12345"})


def select_that_writes(session):
    session.execute(text("SELECT seqdb_append('regions', 'log', :bytes)"), {"bytes": b"12345"})


def savepoint_first(session):
    with session.begin_nested():
        insert(session)


for name, begin_all in (("default", False), ("BEGIN by SQLAlchemy", True)):
    engine = new_engine(begin_all)
    with engine.begin() as connection:
        connection.execute(text("CREATE VIRTUAL TABLE IF NOT EXISTS regions USING seqdb('demo_regions')"))
        connection.execute(text("DELETE FROM regions"))
    works = (insert, select_that_writes, savepoint_first)
    left = ", ".join("%s %d" % (work.__name__, bytes_left(engine, work)) for work in works)
    print("%s: bytes left by rollback: %s" % (name, left))
    engine.dispose()
