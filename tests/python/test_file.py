# SPDX-License-Identifier: MIT
"""Regions as file objects: each mode and call does what it does to an ordinary file."""

import io
import os
import random
import sqlite3
import zipfile

import seqdb
from seqdb import _table
from support import Base


class Modes(Base):
    def open(self, name="log", mode="rb", **options):
        file = seqdb.open(self.db, "regions", name, mode, **options)
        self.addCleanup(lambda: file.closed or file.close())
        return file

    def test_rb_reads_and_refuses_the_rest(self):
        with self.open() as file:
            self.assertEqual((file.read(3), file.tell(), file.readline(), file.read(), file.read()),
                             (b"fir", 3, b"st\n", b"second\n", b""))
            self.assertEqual(file.seek(-7, io.SEEK_END), 6)
            self.assertEqual(list(file), [b"second\n"])
            self.assertEqual((file.readable(), file.writable(), file.seekable()), (True, False, True))
            for call in (lambda: file.raw.write(b"x"), lambda: file.append(b"x"), lambda: file.raw.truncate(0)):
                with self.fails(io.UnsupportedOperation, "region 'log'", "open with mode 'rb'"):
                    call()
            self.assertEqual((file.name, file.mode, file.raw.table), ("log", "rb", "regions"))

    def test_rb_and_r_plus_need_the_region(self):
        for mode in ("rb", "r+b"):
            with self.fails(seqdb.RegionNotFoundError, "regions: there is no region 'nothing'") as caught:
                self.open("nothing", mode)
            self.assertIsInstance(caught.exception, FileNotFoundError)
            self.assertIsInstance(caught.exception, KeyError)

    def test_r_plus_overwrites_grows_and_fills_a_gap_with_zeros(self):
        with self.open(mode="r+b") as file:
            file.write(b"FIRST")
            self.assertEqual(file.read(2), b"\ns")
            file.seek(20)
            file.write(b"end")
        self.assertEqual(self.content(), b"FIRST\nsecond\n" + bytes(7) + b"end")

    def test_wb_makes_or_empties_and_keeps_the_life_of_the_region(self):
        life = self.db.execute("SELECT rowid, created FROM regions").fetchall()
        with self.open(mode="wb") as file:
            self.assertEqual(self.content(), b"")
            file.write(b"new")
            with self.assertRaises(io.UnsupportedOperation):
                file.read()
        with self.open("other", mode="w+b") as file:
            file.write(b"both ways")
            file.seek(5)
            self.assertEqual(file.read(), b"ways")
        self.assertEqual((self.content(), self.content("other")), (b"new", b"both ways"))
        self.assertEqual(self.db.execute("SELECT rowid, created FROM regions WHERE name = 'log'").fetchall(), life)

    def test_xb_makes_and_refuses_what_exists(self):
        with self.open("new", "xb") as file:
            file.write(b"1")
        with self.fails(seqdb.RegionExistsError, "regions: there is a region 'new' already") as caught:
            self.open("new", "xb")
        self.assertIsInstance(caught.exception, FileExistsError)
        self.assertEqual(self.content("new"), b"1")

    def test_ab_makes_and_writes_at_the_end_wherever_it_stands(self):
        with self.open("new", "ab") as file:
            self.assertEqual((file.tell(), file.write(b"1")), (0, 1))
        self.assertEqual(self.content("new"), b"1")
        with self.open(mode="a+b", buffering=0) as file:
            self.assertEqual(file.tell(), 13)
            file.seek(0)
            self.assertEqual(file.read(5), b"first")
            self.db.execute("INSERT INTO regions(name, append) VALUES ('log', 'other;')")
            self.assertEqual((file.write(b"mine"), file.tell()), (4, 23))
        self.assertEqual(self.content(), b"first\nsecond\nother;mine")

    def test_append_says_where_its_bytes_begin_and_leaves_the_position(self):
        for buffering in (0, 10):
            with self.open(mode="r+b", buffering=buffering) as file:
                length = len(self.content())
                file.write(b"F")
                self.assertEqual((file.append(b"third\n"), file.append(b"")), (length, length + 6))
                self.assertEqual(file.tell(), 1)

    def test_modes_that_are_none(self):
        for mode in ("r", "b", "rwb", "rb+b", "rt", "rbz", "", "ba+a"):
            with self.fails(ValueError, "mode %r is none of" % mode):
                self.open(mode=mode)
        with self.fails(ValueError, "buffering is -2"):
            self.open(buffering=-2)
        self.open(mode="+br")

    def test_buffering_chooses_the_class(self):
        classes = [type(self.open("f", mode, buffering=size)) for mode, size in
                   (("wb", 0), ("wb", -1), ("rb", 7), ("r+b", 1))]
        self.assertEqual(classes, [seqdb.RegionFile, seqdb.BufferedRegionWriter, seqdb.BufferedRegionReader,
                                   seqdb.BufferedRegionRandom])
        for cls in classes[1:]:
            self.assertTrue(issubclass(cls, io.BufferedIOBase))
        self.assertTrue(issubclass(classes[0], io.RawIOBase))

    def test_buffered_writes_arrive_at_flush_and_unbuffered_ones_at_once(self):
        file = self.open(mode="ab", buffering=100)
        file.write(b"x" * 10)
        self.assertEqual(len(self.content()), 13)
        file.flush()
        self.assertEqual(len(self.content()), 23)
        raw = self.open(mode="ab", buffering=0)
        raw.write(b"y")
        self.assertEqual(self.content()[-1:], b"y")

    def test_truncate_cuts_and_extends_with_zeros_and_leaves_the_position(self):
        with self.open(mode="r+b") as file:
            file.seek(7)
            self.assertEqual((file.truncate(5), file.tell()), (5, 7))
            self.assertEqual(self.content(), b"first")
            self.assertEqual(file.truncate(8), 8)
            self.assertEqual(self.content(), b"first\0\0\0")
            self.assertEqual(file.truncate(), 7)
            with self.fails(ValueError, "truncate to -1"):
                file.raw.truncate(-1)

    def test_seeks_that_lead_nowhere(self):
        raw = self.open(buffering=0)
        with self.fails(ValueError, "seek to -1, before its beginning"):
            raw.seek(-1)
        with self.fails(ValueError, "whence is 9"):
            raw.seek(0, 9)
        self.assertEqual((raw.seek(1000), raw.read(10), raw.readall()), (1000, b"", b""))

    def test_what_may_be_written(self):
        with self.open("f", "wb", buffering=0) as file:
            for data in (b"ab", bytearray(b"cd"), memoryview(b"xefx")[1:3], memoryview(bytes(4)).cast("I")):
                file.write(data)
            self.assertEqual(file.write(b""), 0)
            with self.fails(TypeError, "bytes are needed, not str"):
                file.write("text")
            with self.assertRaises(TypeError):
                file.write(memoryview(b"abcd")[::2])
        self.assertEqual(self.content("f"), b"abcdef" + bytes(4))

    def test_a_closed_file_says_so(self):
        file = self.open(buffering=0)
        file.close()
        file.close()
        for call in (file.read, file.tell, file.memoryview, file.readable, lambda: file.seek(0)):
            with self.fails(ValueError, "closed"):
                call()

    def test_text_and_zip_go_through_it(self):
        with io.TextIOWrapper(self.open("text", "wb"), encoding="utf-8") as file:
            file.write("Grüße\n")
        with io.TextIOWrapper(self.open("text"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "Grüße\n")
        with self.open("zip", "w+b") as file:
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
                archive.writestr("a.txt", "a" * 100000)
            with zipfile.ZipFile(file) as archive:
                self.assertEqual(archive.testzip(), None)
                self.assertEqual(archive.read("a.txt"), b"a" * 100000)

    def test_names_of_any_kind(self):
        for name in ("it's", 'a "b"', "ü/..", "x" * 1024, "%s ?1"):
            with self.open(name, "xb") as file:
                file.write(b"1")
            self.assertEqual(self.open(name).read(), b"1")
        with self.fails(sqlite3.OperationalError, "control character"):
            self.open("a\nb", "wb")

    def test_tables_of_any_name_and_schema(self):
        self.db.execute("ATTACH 'b.db' AS [other schema]")
        self.db.execute("CREATE VIRTUAL TABLE [other schema].\"a.\"\"b\" USING seqdb('b regions')")
        for table in ('[other schema]."a.""b"', "`other schema`.'a.\"b'"):
            with seqdb.open(self.db, table, "x", "ab") as file:
                file.write(b"1")
        self.assertEqual(seqdb.open(self.db, table, "x").read(), b"11")
        self.assertEqual(seqdb.open(self.db, "main.regions", "log").read(5), b"first")
        with self.fails(sqlite3.OperationalError, "no such seqdb table: nowhere"):
            seqdb.open(self.db, "nowhere", "log")
        for table in ("", "a.b.c", '"a', "a]"):
            with self.fails(ValueError, "is no name of a table"):
                seqdb.open(self.db, table, "log")

    def test_large_reads_and_writes_go_in_pieces_and_are_of_one_moment(self):
        piece, _table.PIECE_BYTES = _table.PIECE_BYTES, 1000
        self.addCleanup(setattr, _table, "PIECE_BYTES", piece)
        data = random.Random(1).randbytes(123456)
        with self.open("f", "w+b") as file:
            file.write(data)
            for at in (0, 1, 999, 1000, 1001, 123455, 123456, 200000):
                file.seek(at)
                self.assertEqual(file.read(), data[at:])
                self.assertEqual(file.raw._region.read_rest(at), data[at:])
        self.assertEqual(self.content("f"), data)
        before = self.one("SELECT seqdb_stat('regions') ->> 'generation'")
        with self.open("f", "ab", buffering=0) as file:
            file.write(data)
        # One commit, of 124 pieces.
        self.assertEqual(self.one("SELECT seqdb_stat('regions') ->> 'generation'"), before + 1)

    def test_a_large_write_that_fails_leaves_nothing(self):
        piece, _table.PIECE_BYTES = _table.PIECE_BYTES, 1000
        self.addCleanup(setattr, _table, "PIECE_BYTES", piece)
        # The fourth piece fails: the engine asks the connection while it works.
        calls = []

        def write_piece(region, offset, data, write=_table.Region._write_piece):
            calls.append(offset)
            if len(calls) == 4:
                raise KeyboardInterrupt
            write(region, offset, data)

        with self.open(mode="r+b", buffering=0) as file, self.assertRaises(KeyboardInterrupt):
            original, _table.Region._write_piece = _table.Region._write_piece, write_piece
            self.addCleanup(setattr, _table.Region, "_write_piece", original)
            file.write(bytes(10000))
        self.assertEqual((len(calls), self.content(), self.db.in_transaction), (4, b"first\nsecond\n", False))

    def test_a_region_longer_than_a_value_of_sqlite_is_read(self):
        if not hasattr(self.db, "setlimit"):
            self.skipTest("setlimit() came with Python 3.11")
        self.db.execute("INSERT INTO regions(name, length) VALUES ('long', 3000000)")
        self.db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1000000)
        with self.fails(Exception, "too big"):
            self.content("long")
        with self.open("long", "r+b", buffering=1000) as file:
            file.seek(2999999)
            file.write(b"xy")
            file.seek(0)
            self.assertEqual(sum(len(piece) for piece in iter(lambda: file.read(1000), b"")), 3000001)

    def test_random_calls_do_what_they_do_to_an_ordinary_file(self):
        seed = int(os.environ.get("SEED", 0)) or random.randrange(1 << 30)
        chance = random.Random(seed)
        for mode in ("w+b", "r+b", "a+b"):
            for buffering in (0, 1, 50, -1):
                self.db.execute("DELETE FROM regions WHERE name = 'f'")
                self.db.execute("INSERT INTO regions(name, content) VALUES ('f', '0123456789')")
                with open("f", "wb") as plain:
                    plain.write(b"0123456789")
                plain = open("f", mode, buffering=buffering if buffering != 1 else 2)
                file = self.open("f", mode, buffering=buffering)
                with self.subTest(seed=seed, mode=mode, buffering=buffering), plain, file:
                    for step in range(150):
                        self.same_step(chance, plain, file, step)
                    self.same(plain.flush(), file.flush(), "flush")
                    plain.seek(0)
                    self.assertEqual(self.content("f"), plain.read())

    def same_step(self, chance, plain, file, step):
        call, arguments = chance.choice([
            ("read", [chance.randrange(20)]), ("read", []), ("seek", [chance.randrange(60)]), ("tell", []),
            ("seek", [chance.randrange(10), 1]), ("seek", [-chance.randrange(10), 2]), ("readline", []),
            ("write", [chance.randbytes(chance.randrange(70))]), ("write", [b"line\n"]), ("flush", []),
            ("truncate", [chance.randrange(60)]), ("truncate", []), ("readinto", None),
        ])
        results = []
        size = chance.randrange(30)
        for target in (plain, file):
            try:
                if call == "readinto":
                    buffer = bytearray(size)
                    results.append((target.readinto(buffer), buffer))
                else:
                    results.append(getattr(target, call)(*arguments))
            except (OSError, ValueError):
                results.append("refused")
        self.same(results[0], results[1], "%d %s %s" % (step, call, arguments))

    def same(self, expected, got, what):
        self.assertEqual(expected, got, what)


class Gone(Base):
    """A region that is removed, renamed or made anew while it is open."""

    def changes(self):
        return {
            "removed": "DELETE FROM regions WHERE name = 'log'",
            "renamed": "UPDATE regions SET name = 'log.1' WHERE name = 'log'",
            "made anew": "INSERT OR REPLACE INTO regions(name, content) VALUES ('log', 'another one, and longer')",
        }

    def test_each_call_says_so_and_changes_nothing(self):
        calls = {
            "read": lambda file: file.read(5),
            "readall": lambda file: file.readall(),
            "write": lambda file: file.write(b"mine"),
            "append": lambda file: file.append(b"mine"),
            "truncate": lambda file: file.truncate(2),
            "seek": lambda file: file.seek(0, 2),
            "memoryview": lambda file: file.memoryview(),
            "copy": lambda file: file.memoryview(copy=True),
        }
        other = self.connect(isolation_level=None)
        for how, sql in self.changes().items():
            for what, call in calls.items():
                for mode in ("r+b", "a+b"):
                    with self.subTest(how=how, what=what, mode=mode):
                        self.db.execute("DELETE FROM regions")
                        self.db.execute("INSERT INTO regions(name, content) VALUES ('log', 'first\nsecond\n')")
                        file = seqdb.open(self.db, "regions", "log", mode, buffering=0)
                        file.seek(3)
                        other.execute(sql)
                        before = self.db.execute("SELECT name, content FROM regions").fetchall()
                        gone = "region 'log' was removed or renamed since it was opened: open it again"
                        with self.fails(seqdb.RegionNotFoundError, gone):
                            call(file)
                        self.assertEqual(self.db.execute("SELECT name, content FROM regions").fetchall(), before)
                        self.assertFalse(self.db.in_transaction)
                        self.assertEqual(self.snapshots(), 0)

    def test_a_buffered_reader_gives_what_it_has_and_then_says_so(self):
        with seqdb.open(self.db, "regions", "log", buffering=4) as file:
            self.assertEqual(file.read(1), b"f")
            self.db.execute("DELETE FROM regions")
            self.assertEqual(file.read(3), b"irs")
            with self.assertRaises(seqdb.RegionNotFoundError):
                file.read(1)

    def test_what_a_rollback_takes_away_is_gone(self):
        self.db.execute("BEGIN")
        file = seqdb.open(self.db, "regions", "draft", "xb", buffering=0)
        file.write(b"1")
        self.db.execute("ROLLBACK")
        with self.assertRaises(seqdb.RegionNotFoundError):
            file.write(b"2")
        self.assertEqual(self.one("SELECT count(*) FROM regions"), 1)

    def test_a_write_inside_begin_is_undone_alone(self):
        file = seqdb.open(self.db, "regions", "log", "ab", buffering=0)
        self.db.execute("INSERT OR REPLACE INTO regions(name) VALUES ('log')")
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO regions(name, append) VALUES ('x', 'y')")
        with self.assertRaises(seqdb.RegionNotFoundError):
            file.write(b"2")
        self.db.execute("COMMIT")
        self.assertEqual((self.content(), self.content("x")), (b"", b"y"))

    def test_the_table_may_be_dropped(self):
        file = seqdb.open(self.db, "regions", "log", "r+b", buffering=0)
        self.db.execute("DROP TABLE regions")
        for call in (lambda: file.read(1), lambda: file.write(b"1"), file.memoryview):
            with self.fails(sqlite3.OperationalError, "no such"):
                call()

    def test_the_connection_may_be_closed(self):
        db = self.connect(isolation_level=None)
        file = seqdb.open(db, "regions", "log", "r+b", buffering=0)
        db.close()
        for call in (lambda: file.read(1), lambda: file.write(b"1"), file.memoryview, lambda: file.truncate(1)):
            with self.fails(sqlite3.ProgrammingError, "closed database"):
                call()
        self.assertEqual(self.content(), b"first\nsecond\n")
