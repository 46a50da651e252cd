# SPDX-License-Identifier: MIT
"""The same with every module, and in every mode in which it begins and ends transactions."""

import sqlite3
import sys
import unittest

import seqdb
from support import AUTO, Folder, apsw, numpy, sqlalchemy


class Mode:
    """A connection of a module in one mode.  `begins`: it begins a transaction by itself before a change."""

    begins = False
    always = False  # a transaction is open at all times

    def made(self, case, file):
        raise NotImplementedError

    def run(self, connection, sql, *values):
        return connection.execute(sql, values).fetchall()

    def begin(self, connection):
        self.run(connection, "BEGIN")

    def commit(self, connection):
        self.run(connection, "COMMIT")

    def rollback(self, connection):
        self.run(connection, "ROLLBACK")

    def close(self, connection):
        connection.close()


class Sqlite3(Mode):
    def __init__(self, begins, **options):
        self.begins, self.options = begins, options
        self.always = options.get("autocommit") is False

    def made(self, case, file):
        return seqdb.load(sqlite3.connect(file, timeout=10, **self.options))

    def begin(self, connection):
        if not self.begins:
            connection.execute("BEGIN")

    def commit(self, connection):
        connection.commit() if self.begins else connection.execute("COMMIT")

    def rollback(self, connection):
        connection.rollback() if self.begins else connection.execute("ROLLBACK")


class Apsw(Mode):
    def made(self, case, file):
        connection = apsw.Connection(file)
        connection.setbusytimeout(10000)
        return seqdb.load(connection)

    def run(self, connection, sql, *values):
        return list(connection.cursor().execute(sql, values))


class SqlAlchemy(Mode):
    begins = True

    def __init__(self, session=False):
        self.session = session

    def made(self, case, file):
        engine = sqlalchemy.create_engine("sqlite:///" + file, connect_args={"timeout": 10}, future=True)
        case.addCleanup(engine.dispose)
        seqdb.load(engine)
        if self.session:
            from sqlalchemy.orm import Session

            return Session(engine, future=True)
        return engine.connect()

    def run(self, connection, sql, *values):
        connection = connection.connection() if self.session else connection
        result = connection.exec_driver_sql(sql, values)
        return [tuple(row) for row in result.fetchall()] if result.returns_rows else []

    def begin(self, connection):
        pass

    def commit(self, connection):
        connection.commit()

    def rollback(self, connection):
        connection.rollback()


class AutocommitEngine(SqlAlchemy):
    begins = False

    def made(self, case, file):
        return super().made(case, file).execution_options(isolation_level="AUTOCOMMIT")

    def begin(self, connection):
        self.run(connection, "BEGIN")

    def commit(self, connection):
        self.run(connection, "COMMIT")

    def rollback(self, connection):
        self.run(connection, "ROLLBACK")


class Work:
    """The tests; a class below for each mode."""

    mode = None

    def setUp(self):
        super().setUp()
        self.check = self.connect(isolation_level=None)  # what others see
        self.check.execute("PRAGMA journal_mode = WAL")
        self.check.execute("CREATE TABLE note(x)")
        self.check.execute("CREATE VIRTUAL TABLE regions USING seqdb('regions')")
        self.db = self.mode.made(self, "a.db")
        self.addCleanup(self.mode.close, self.db)

    def one(self, sql, *values):
        row = self.check.execute(sql, values).fetchone()
        return row and row[0]

    def committed(self, name="log"):
        return self.one("SELECT seqdb_read('regions', ?)", name)

    def test_files_take_part_in_the_transaction_with_rows(self):
        mode, db = self.mode, self.db
        for end, expected in ((mode.rollback, (0, None)), (mode.commit, (1, b"firstLATER!\0\0"))):
            mode.begin(db)
            mode.run(db, "INSERT INTO note VALUES (1)")
            with seqdb.open(db, "regions", "log", "ab") as file:
                file.write(b"first")
            with seqdb.open(db, "regions", "log", "r+b") as file:
                file.seek(5)
                file.write(b"LATER!")
                self.assertEqual((file.seek(0), file.read()), (0, b"firstLATER!"))
                file.truncate(13)
            self.assertEqual((self.one("SELECT count(*) FROM note"), self.committed()), (0, None))
            end(db)
            self.assertEqual((self.one("SELECT count(*) FROM note"), self.committed()), expected)

    def test_each_kind_of_change_begins_what_the_mode_says(self):
        """Alone, outside of BEGIN: committed at once, or with the next commit."""
        mode, db = self.mode, self.db
        regions = seqdb.Regions(db, "regions")
        raw = {"buffering": 0}
        changes = [
            lambda: seqdb.open(db, "regions", "log", "xb"),
            lambda: seqdb.open(db, "regions", "log", "ab", **raw).write(b"appended"),
            lambda: seqdb.open(db, "regions", "log", "r+b", **raw).write(b"WRITTEN"),
            lambda: seqdb.open(db, "regions", "log", "r+b", **raw).truncate(4),
            lambda: seqdb.open(db, "regions", "log", "wb"),
            lambda: regions.append("log", b"x"),
            lambda: regions.rename("log", "log.1"),
            lambda: regions.__delitem__("log.1"),
        ]
        if mode.begins:
            mode.commit(db)
        for change in changes:
            before = self.check.execute("SELECT name, content FROM regions").fetchall()
            change()
            after = self.check.execute("SELECT name, content FROM regions").fetchall()
            self.assertEqual(after == before, mode.begins)
            if mode.begins:
                mode.commit(db)
                after = self.check.execute("SELECT name, content FROM regions").fetchall()
                self.assertNotEqual(after, before)

    def test_a_change_that_fails_leaves_the_transaction_as_it_was(self):
        mode, db = self.mode, self.db
        mode.begin(db)
        mode.run(db, "INSERT INTO note VALUES (1)")
        seqdb.Regions(db, "regions").append("log", b"kept")
        for wrong in (
            lambda: seqdb.open(db, "regions", "log", "xb"),
            lambda: seqdb.Regions(db, "regions").append("a\nb", b"x"),
            lambda: seqdb.open(db, "regions", "a\nb", "wb"),
        ):
            with self.assertRaises(Exception) as caught:
                wrong()
            self.assertRegex(str(caught.exception), "already|control character")
        mode.commit(db)
        self.assertEqual((self.committed(), self.one("SELECT count(*) FROM note")), (b"kept", 1))

    def test_a_change_that_fails_alone_leaves_no_transaction_that_would_be_in_the_way(self):
        if self.mode.begins:
            self.mode.commit(self.db)
        with self.assertRaises(Exception):
            seqdb.Regions(self.db, "regions").append("a\nb", b"x")
        if self.mode.always:
            self.mode.rollback(self.db)
        self.check.execute("BEGIN IMMEDIATE")
        self.check.execute("COMMIT")

    def test_views_pin_in_every_mode_and_outlive_the_connection(self):
        mode, db = self.mode, self.db
        mode.begin(db)
        with seqdb.open(db, "regions", "log", "ab") as file:
            file.write(b"12345678")
            with self.assertRaises(seqdb.PinError):
                file.memoryview()
            self.assertEqual(bytes(file.memoryview(copy=None)), b"12345678")
        mode.commit(db)
        view = seqdb.open(db, "regions", "log").memoryview()
        self.assertEqual(self.one("SELECT seqdb_stat('regions') ->> 'snapshots'"), 1)
        if numpy:
            self.assertEqual(seqdb.open(db, "regions", "log").numpy("u4").size, 2)
        if mode.begins:
            mode.rollback(db)
        mode.close(db)
        self.check.execute("DELETE FROM regions")
        self.check.execute("INSERT INTO regions(regions) VALUES ('compact')")
        self.assertEqual(bytes(view), b"12345678")
        del view
        self.assertEqual(self.one("SELECT seqdb_stat('regions') ->> 'snapshots'"), 0)

    def test_regions_are_a_mapping_and_can_be_followed(self):
        mode, db = self.mode, self.db
        regions = seqdb.Regions(db, "regions")
        self.assertEqual((regions.append("a", b"123"), regions.append("a", b"45"), dict(regions)), (0, 3, {"a": 5}))
        if mode.begins:
            mode.commit(db)
        follower = regions.follow("a", 2, timeout=20)
        self.assertEqual(next(follower), b"345")
        self.check.execute("INSERT INTO regions(name, append) VALUES ('a', 'new')")
        self.assertEqual(next(follower), b"new")
        follower.close()

    def test_gone_is_gone_with_every_module(self):
        file = seqdb.open(self.db, "regions", "log", "wb", buffering=0)
        if self.mode.begins:
            self.mode.commit(self.db)
        self.check.execute("DELETE FROM regions")
        for call in (lambda: file.write(b"1"), lambda: file.truncate(0), file.memoryview):
            with self.fails(seqdb.RegionNotFoundError, "was removed or renamed since it was opened"):
                call()

    def test_a_writer_that_is_in_the_way_is_busy_and_nothing_is_half_done(self):
        db = self.mode.made(self, "a.db")
        self.addCleanup(self.mode.close, db)
        self.mode.run(db, "PRAGMA busy_timeout = 50")
        if self.mode.begins:
            self.mode.commit(db)
        self.check.execute("BEGIN IMMEDIATE")
        self.check.execute("INSERT INTO regions(name, append) VALUES ('log', 'theirs')")
        with self.assertRaises(Exception) as caught:
            seqdb.Regions(db, "regions").append("log", b"mine")
        self.assertIn("lock", str(caught.exception).lower())
        self.check.execute("COMMIT")
        if self.mode.begins:
            self.mode.rollback(db)
        seqdb.Regions(db, "regions").append("log", b"mine")
        if self.mode.begins:
            self.mode.commit(db)
        self.assertEqual(self.committed(), b"theirsmine")


def make(name, mode, needed=True, reason=""):
    cls = type(name, (Work, Folder), {"mode": mode, "__module__": __name__})
    globals()[name] = unittest.skipUnless(needed, reason)(cls)


NEW = sys.version_info >= (3, 12)
make("DefaultMode", Sqlite3(True))
make("IsolationImmediate", Sqlite3(True, isolation_level="IMMEDIATE"))
make("IsolationNone", Sqlite3(False, isolation_level=None))
make("AutocommitTrue", Sqlite3(False, autocommit=True), NEW, "autocommit= came with Python 3.12")
make("AutocommitFalse", Sqlite3(True, autocommit=False), NEW, "autocommit= came with Python 3.12")
make("WithApsw", Apsw(), apsw, "APSW is not installed")
make("WithSqlAlchemy", SqlAlchemy(), sqlalchemy, "SQLAlchemy is not installed")
make("WithSession", SqlAlchemy(session=True), sqlalchemy, "SQLAlchemy is not installed")
make("WithAutocommitEngine", AutocommitEngine(), sqlalchemy, "SQLAlchemy is not installed")


@unittest.skipUnless(sqlalchemy, "SQLAlchemy is not installed")
class SqlAlchemyAlone(Folder):
    def test_an_engine_is_told_to_give_a_connection(self):
        engine = sqlalchemy.create_engine("sqlite://")
        with self.fails(TypeError, "an Engine of SQLAlchemy has many connections: give one, of engine.connect()"):
            seqdb.open(engine, "regions", "log")

    def test_a_connection_of_an_old_engine_needs_its_begin(self):
        if not sqlalchemy.__version__.startswith("1.4"):
            self.skipTest("SQLAlchemy 2 has no such engine")
        engine = sqlalchemy.create_engine("sqlite:///a.db")
        self.addCleanup(engine.dispose)
        with engine.connect() as connection:
            seqdb.load(connection)
            connection.exec_driver_sql("CREATE VIRTUAL TABLE regions USING seqdb('regions')")
            with self.fails(seqdb.Error, "is in no transaction: call its begin() first"):
                seqdb.Regions(connection, "regions").append("log", b"1")
            with connection.begin():
                seqdb.Regions(connection, "regions").append("log", b"1")
            self.assertEqual(dict(seqdb.Regions(connection, "regions")), {"log": 1})


@unittest.skipUnless(apsw, "APSW is not installed")
@unittest.skipIf(AUTO, "here every connection has it")
class ApswAlone(Folder):
    def test_errors_are_those_of_apsw(self):
        db = apsw.Connection("a.db")
        with self.fails(seqdb.LoadError, "not loaded into this connection"):
            seqdb.open(db, "regions", "log")
        with self.fails(seqdb.LoadError, "/nowhere/seqdb.so cannot be read"):
            seqdb.load(db, "/nowhere/seqdb.so")
        seqdb.load(db)
        with self.fails(apsw.Error, "no such seqdb table: regions"):
            seqdb.open(db, "regions", "log")
        db.close()

    def test_with_is_a_savepoint_around_files(self):
        db = seqdb.load(apsw.Connection("a.db"))
        list(db.cursor().execute("PRAGMA journal_mode = WAL; CREATE VIRTUAL TABLE regions USING seqdb('regions')"))
        with db, seqdb.open(db, "regions", "log", "ab") as file:
            file.write(b"kept")
        with self.assertRaises(ValueError):
            with db, seqdb.open(db, "regions", "log", "ab") as file:
                file.write(b"not kept")
                raise ValueError
        self.assertEqual(seqdb.open(db, "regions", "log").read(), b"kept")
        db.close()
