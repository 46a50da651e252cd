# SPDX-License-Identifier: MIT
"""Regions: a mapping from names to lengths, and following a region."""

import gc
import signal
import sqlite3
import threading
import time
import weakref

import seqdb
from seqdb import _regions
from support import Base


class AsMapping(Base):
    def setUp(self):
        super().setUp()
        self.regions = seqdb.Regions(self.db, "regions")

    def test_it_is_a_mapping(self):
        self.regions.append("b", b"12")
        r = self.regions
        self.assertEqual((list(r), len(r), list(r.items()), list(r.values())),
                         (["log", "b"], 2, [("log", 13), ("b", 2)], [13, 2]))
        self.assertEqual((dict(r), "b" in r, "c" in r, 7 in r, r["b"], r.get("c", -1)),
                         ({"log": 13, "b": 2}, True, False, False, 2, -1))
        self.assertEqual((set(r.keys()) & {"b", "x"}, ("b", 2) in r.items(), bool(r)), ({"b"}, True, True))
        with self.fails(KeyError, "regions: there is no region 'c'"):
            r["c"]
        self.assertEqual((r == r, r == dict(r), len({r, r})), (True, False, 1))
        self.assertEqual(repr(r), "<seqdb.Regions table='regions'>")

    def test_del_removes(self):
        del self.regions["log"]
        self.assertEqual(list(self.regions), [])
        with self.fails(seqdb.RegionNotFoundError, "there is no region 'log'"):
            del self.regions["log"]

    def test_rename(self):
        self.regions.append("b", b"12")
        self.regions.rename("log", "log.1")
        self.assertEqual(dict(self.regions), {"log.1": 13, "b": 2})
        with self.fails(seqdb.RegionExistsError, "'b' cannot be renamed: there is a region 'log.1' already"):
            self.regions.rename("b", "log.1")
        with self.fails(seqdb.RegionNotFoundError, "there is no region 'log'"):
            self.regions.rename("log", "x")
        with self.fails(sqlite3.OperationalError, "the name is empty"):
            self.regions.rename("b", "")

    def test_append_says_where(self):
        r = self.regions
        pieces = (b"", b"123", bytearray(b"4"), memoryview(b"56"))
        self.assertEqual([r.append("n", piece) for piece in pieces], [0, 0, 3, 4])
        self.assertEqual(self.content("n"), b"123456")
        with self.fails(TypeError, "bytes are needed"):
            r.append("n", "text")

    def test_open_is_that_of_the_package(self):
        with self.regions.open("log", "ab", 0) as file:
            self.assertIsInstance(file, seqdb.RegionFile)

    def test_it_is_a_context_manager_and_of_no_use_afterwards(self):
        with seqdb.Regions(self.db, "regions") as r:
            self.assertEqual(len(r), 1)
        for use in (lambda: len(r), lambda: list(r), lambda: r.append("x", b""), lambda: r.open("log"),
                    lambda: r.follow("log"), r.__enter__):
            with self.fails(ValueError, "this Regions object is closed"):
                use()
        self.assertEqual(self.one("SELECT 1"), 1)

    def test_an_iteration_may_be_left_half_way_and_regions_changed_meanwhile(self):
        for i in range(100):
            self.regions.append("r%d" % i, b"x")
        for iterator in (iter(self.regions), iter(self.regions.items()), iter(self.regions.values())):
            next(iterator)
            self.assertEqual(self.snapshots(), 0)
            self.db.execute("BEGIN IMMEDIATE")  # nothing is open that would be in the way
            self.db.execute("COMMIT")
            del iterator
        for name, length in self.regions.items():
            del self.regions[name]
            self.regions.append("new", b"1")
        self.assertEqual(dict(self.regions), {"new": 101})
        self.db.execute("DROP TABLE regions")

    def test_rows_are_plain_whatever_factories_the_connection_has(self):
        self.db.row_factory = lambda cursor, row: "row"
        self.assertEqual((dict(self.regions), self.regions["log"]), ({"log": 13}, 13))
        self.db.row_factory = sqlite3.Row
        self.db.text_factory = bytes
        self.assertEqual(dict(self.regions), {"log": 13})
        self.assertEqual(bytes(self.regions.open("log").memoryview()[:5]), b"first")
        db = sqlite3.connect("a.db")
        self.addCleanup(db.close)
        db.text_factory = bytes
        self.assertEqual(len(seqdb.Regions(seqdb.load(db), "regions")), 1)
        self.assertEqual(seqdb.open(self.db, "regions", "log").read(5), b"first")

    def test_a_closed_connection_says_so(self):
        self.db.close()
        with self.fails(sqlite3.ProgrammingError, "closed database"):
            list(self.regions)


class Following(Base):
    def setUp(self):
        super().setUp()
        self.regions = seqdb.Regions(self.db, "regions")
        self.other = self.connect(isolation_level=None)

    def append(self, text, name="log"):
        self.other.execute("INSERT INTO regions(name, append) VALUES (?, ?)", (name, text))

    def test_it_gives_what_is_there_and_then_what_comes(self):
        follower = self.regions.follow("log", timeout=20)
        self.assertEqual(next(follower), b"first\nsecond\n")
        self.append("third\n")
        self.append("fourth\n")
        self.assertEqual(next(follower), b"third\nfourth\n")
        self.assertEqual(self.snapshots(), 0)
        timer = threading.Timer(0.5, self.append_by_thread, ["fifth"])
        timer.start()
        begin = time.monotonic()
        self.assertEqual(next(follower), b"fifth")
        self.assertLess(time.monotonic() - begin, 15)
        timer.join()

    def append_by_thread(self, text):
        db = sqlite3.connect("a.db", timeout=10, isolation_level=None)
        seqdb.load(db).execute("INSERT INTO regions(name, append) VALUES ('log', ?)", (text,))
        db.close()

    def test_it_begins_anywhere_gives_pieces_and_ends_when_nothing_comes(self):
        self.assertEqual(list(self.regions.follow("log", 6, timeout=0, piece=3)), [b"sec", b"ond", b"\n"])
        begin = time.monotonic()
        self.assertEqual(list(self.regions.follow("log", 13, timeout=0.5)), [])
        self.assertTrue(0.4 < time.monotonic() - begin < 20)
        for arguments in (("log", -1), ("log", 0)):
            with self.fails(ValueError, "follow: start is"):
                self.regions.follow(*arguments, piece=0 if arguments[1] == 0 else 1)

    def test_commits_elsewhere_do_not_end_the_time(self):
        stop = threading.Event()

        def work():
            db = sqlite3.connect("a.db", timeout=10, isolation_level=None)
            seqdb.load(db)
            while not stop.wait(0.02):
                db.execute("INSERT INTO regions(name, append) VALUES ('other', 'x')")
            db.close()

        thread = threading.Thread(target=work)
        thread.start()
        begin = time.monotonic()
        self.assertEqual(list(self.regions.follow("log", 13, timeout=0.7)), [])
        took = time.monotonic() - begin
        stop.set()
        thread.join()
        self.assertTrue(0.6 < took < 20, took)

    def test_a_region_that_is_not_there_yet_is_waited_for(self):
        follower = self.regions.follow("later", timeout=20)
        threading.Timer(0.3, self.append_by_thread, ["x"]).start()  # another region comes first
        timer = threading.Timer(0.6, self.make_later)
        timer.start()
        self.assertEqual(next(follower), b"here")
        timer.join()

    def make_later(self):
        db = sqlite3.connect("a.db", timeout=10, isolation_level=None)
        seqdb.load(db).execute("INSERT INTO regions(name, append) VALUES ('later', 'here')")
        db.close()

    def test_what_is_removed_renamed_made_anew_or_cut_is_told(self):
        for sql, told in (
            ("DELETE FROM regions", "was removed or renamed while it was followed: follow it anew"),
            ("UPDATE regions SET name = 'log.1'", "was removed or renamed while it was followed: follow it anew"),
            ("INSERT OR REPLACE INTO regions(name, content) VALUES ('log', 'a longer one than before')", "was removed"),
            ("UPDATE regions SET length = 3", "was cut to 3 bytes while it was followed, and 13 were read"),
        ):
            self.other.execute("DELETE FROM regions")
            self.append("first\nsecond\n")
            follower = self.regions.follow("log", timeout=20)
            next(follower)
            self.other.execute(sql)
            with self.fails(seqdb.Error, "regions: region 'log' " + told):
                next(follower)

    def test_it_may_be_left_half_way(self):
        follower = self.regions.follow("log")
        next(follower)
        follower.close()
        follower = self.regions.follow("log")
        next(follower)
        gone = weakref.ref(follower)
        del follower
        gc.collect()
        self.assertIsNone(gone())
        self.assertEqual(self.snapshots(), 0)
        self.db.execute("DROP TABLE regions")

    def test_a_transaction_with_changes_cannot_wait(self):
        self.db.execute("BEGIN")
        self.regions.append("log", b"mine")
        with self.fails(sqlite3.OperationalError, "regions"):
            next(self.regions.follow("log", timeout=5))

    def test_ctrl_c_ends_it_soon(self):
        process = self.run_python("""
            try:
                for piece in seqdb.Regions(db, "regions").follow("log"):
                    print(len(piece), flush=True)
            except KeyboardInterrupt:
                print("interrupted", db.execute("SELECT seqdb_check('regions')").fetchone()[0])
        """)
        self.assertEqual(process.stdout.readline(), "13\n")
        time.sleep(0.5)
        begin = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.communicate(timeout=60)[0], "interrupted ok\n")
        self.assertLess(time.monotonic() - begin, 10)  # 0.2 s, and what a busy machine adds

    def test_ctrl_c_within_a_second_on_an_idle_wait(self):
        # The same bound, without another process: no statement waits longer than a slice.
        waits = []

        class Table:
            text = "regions"

            class client:
                @staticmethod
                def value(sql, table, generation, milliseconds):
                    waits.append(milliseconds)
                    if len(waits) == 5:
                        raise KeyboardInterrupt
                    return generation

        with self.assertRaises(KeyboardInterrupt):
            _regions._wait(Table, 7, None)
        self.assertTrue(all(wait <= 250 for wait in waits), waits)

    def test_it_costs_nothing_while_it_waits(self):
        output = self.output_of("""
            regions = seqdb.Regions(db, "regions")
            list(regions.follow("log", timeout=0))
            before = time.process_time()
            print(list(regions.follow("log", 13, timeout=2)), time.process_time() - before < 0.2)
        """)
        self.assertEqual(output, "[] True\n")
