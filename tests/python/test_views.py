# SPDX-License-Identifier: MIT
"""Views without a copy: they stay what they are for as long as anything refers to them, and then let go.

What could end the process is tried in a process of its own.
"""

import gc
import os
import re
import sqlite3
import struct
import threading
import unittest

import seqdb
from seqdb import _pin
from support import Base, needs_numpy, numpy


def mapped(path):
    """How many mappings of a file this process has made through Python (they are of its exact size)."""
    with open("/proc/self/maps") as maps:
        return sum(line.rstrip().endswith(path) for line in maps)


class Views(Base):
    def view(self, name="log", copy=False, db=None):
        return seqdb.open(db or self.db, "regions", name).memoryview(copy)

    def test_a_view_is_the_file_itself_read_only(self):
        before = mapped("/regions/data")
        view = self.view()
        self.assertEqual((bytes(view), view.readonly, view.nbytes), (b"first\nsecond\n", True, 13))
        self.assertEqual(mapped("/regions/data"), before + 1)
        with self.assertRaises(TypeError):
            view[0] = 1
        del view
        self.assertEqual(mapped("/regions/data"), before)

    def test_it_stays_whatever_is_committed_afterwards(self):
        view = self.view()
        other = self.connect(isolation_level=None)
        for sql in (
            "SELECT seqdb_write('regions', 'log', 0, 'XXXXXXX')",
            "INSERT INTO regions(name, append) VALUES ('log', ' and more')",
            "UPDATE regions SET content = zeroblob(100000)",
            "SELECT seqdb_truncate('regions', 'log', 0)",
            "DELETE FROM regions",
            "SELECT seqdb_compact('regions')",
            "INSERT INTO regions(name, content) VALUES ('log', zeroblob(9000))",
            "INSERT INTO regions(regions) VALUES ('checkpoint')",
            "SELECT seqdb_compact('regions')",
        ):
            other.execute(sql).fetchall()
            self.assertEqual(bytes(view), b"first\nsecond\n", sql)

    def test_the_pin_goes_with_the_last_reference(self):
        self.assertEqual(self.snapshots(), 0)
        view = self.view()
        part = view[6:12]
        other = part[1:].cast("B")
        del view
        self.assertEqual(self.snapshots(), 1)
        del part
        self.assertEqual((self.snapshots(), bytes(other)), (1, b"econd"))
        with other:  # a memoryview that is released refers to nothing
            pass
        self.assertEqual(self.snapshots(), 0)

    def test_a_cycle_lets_go_when_it_is_collected(self):
        cycle = [self.view()]
        cycle.append(cycle)
        del cycle
        gc.collect()
        self.assertEqual(self.snapshots(), 0)

    def test_the_mapping_below_cannot_be_closed_under_a_view(self):
        view = self.view()
        with self.assertRaises(BufferError):
            view.obj.close()
        self.assertEqual(bytes(view), b"first\nsecond\n")

    def test_pins_of_the_programs_own_connection_are_none(self):
        view = self.view()
        self.assertEqual(self.one("SELECT seqdb_stat('regions') ->> 'pins'"), 0)
        self.assertEqual(self.one("SELECT seqdb_unpin(seqdb_pin('regions', 'log') ->> 'pin')"), 0)
        self.assertEqual(bytes(view), b"first\nsecond\n")

    def test_an_empty_region_has_an_empty_view(self):
        self.db.execute("INSERT INTO regions(name) VALUES ('empty')")
        for copy in (False, None, True):
            view = self.view("empty", copy)
            self.assertEqual((len(view), view.readonly, self.snapshots()), (0, True, 0))

    def test_buffered_writers_write_first(self):
        with seqdb.open(self.db, "regions", "log", "ab") as file:
            file.write(b"third")
            self.assertEqual(bytes(file.memoryview()), b"first\nsecond\nthird")

    # ---- changes that are not in the file ----

    def test_uncommitted_changes_are_an_error_or_a_copy(self):
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO regions(name, append) VALUES ('log', 'third')")
        told = "region 'log' cannot be pinned: it has changes that are not committed: commit first, or say copy=None"
        with self.fails(seqdb.PinError, told) as caught:
            self.view()
        self.assertIsInstance(caught.exception, BufferError)
        for copy in (None, True):
            self.assertEqual(bytes(self.view(copy=copy)), b"first\nsecond\nthird")
        self.assertTrue(self.db.in_transaction)
        self.db.execute("COMMIT")
        self.assertEqual(bytes(self.view()), b"first\nsecond\nthird")

    def test_other_regions_may_have_changes(self):
        self.db.execute("BEGIN")
        self.db.execute("INSERT INTO regions(name, append) VALUES ('other', 'x')")
        self.assertEqual(bytes(self.view()), b"first\nsecond\n")
        self.db.execute("ROLLBACK")
        self.assertEqual(self.snapshots(), 0)

    def test_an_overwrite_is_written_out_first(self):
        old = self.view()
        del old
        self.db.execute("SELECT seqdb_write('regions', 'log', 0, 'FIRST')")
        self.assertEqual(bytes(self.view()), b"FIRST\nsecond\n")

    def test_an_overwrite_that_an_older_view_keeps_back_is_an_error_or_a_copy(self):
        old = self.view()
        self.db.execute("SELECT seqdb_write('regions', 'log', 0, 'FIRST')")
        told = "region 'log' cannot be pinned: it was overwritten while its older state is read: wait, or say copy=None"
        with self.fails(seqdb.PinError, told):
            self.view()
        self.assertEqual((bytes(self.view(copy=None)), bytes(old)), (b"FIRST\nsecond\n", b"first\nsecond\n"))
        del old
        self.assertEqual(bytes(self.view()), b"FIRST\nsecond\n")

    def test_a_commit_between_the_two_pins_is_seen_and_tried_again(self):
        changes = [
            "INSERT INTO regions(name, append) VALUES ('log', zeroblob(100000))",  # longer, and elsewhere
            "UPDATE regions SET length = 14",
            "SELECT seqdb_write('regions', 'log', 0, 'FIRST')",
        ]
        self.addCleanup(setattr, _pin.Holder, "pin", _pin.Holder.pin)
        pins = []

        def pin(holder, name, original=_pin.Holder.pin):
            if changes:
                self.db.execute(changes.pop(0)).fetchall()
            pins.append(original(holder, name))
            return pins[-1]

        _pin.Holder.pin = pin
        db = self.connect(isolation_level=None)
        self.assertEqual(bytes(self.view(db=db)), b"FIRST\nsecond\n\0")
        self.assertEqual((len(pins), len(set(pins)), self.snapshots()), (4, 4, 0))

    def test_a_region_that_goes_between_the_two_pins_is_gone(self):
        self.addCleanup(setattr, _pin.Holder, "pin", _pin.Holder.pin)

        def pin(holder, name, original=_pin.Holder.pin):
            self.db.execute("INSERT OR REPLACE INTO regions(name, content) VALUES ('log', 'another one!!')")
            return original(holder, name)

        _pin.Holder.pin = pin
        with self.assertRaises(seqdb.RegionNotFoundError):
            self.view(db=self.connect(isolation_level=None))
        self.assertEqual(self.snapshots(), 0)

    def test_views_while_another_process_overwrites_are_of_one_moment(self):
        self.db.execute("UPDATE regions SET content = zeroblob(40000)")
        writer = self.run_python("""
            print("ready", flush=True)
            for i in range(1, 400):
                db.execute("SELECT seqdb_write('regions', 'log', 0, ?)", (bytes([i % 256]) * 40000,))
        """)
        self.assertEqual(writer.stdout.readline(), "ready\n")
        seen, refused = set(), 0
        while writer.poll() is None or not seen:
            try:
                view = self.view()
            except seqdb.PinError:
                refused += 1
                continue
            values = set(view)
            self.assertEqual(len(values), 1)
            seen |= values
            del view
        self.assertEqual(writer.communicate()[0], "")
        self.assertGreater(len(seen), 3)
        self.assertEqual(self.snapshots(), 0)

    # ---- the end of connections, threads, processes ----

    def test_a_view_outlives_its_connection_its_file_and_the_removal_of_all(self):
        self.assertEqual(self.output_of("""
            db.execute("INSERT INTO regions(name, content) VALUES ('big', zeroblob(20000000))")
            with db:
                seqdb.open(db, "regions", "big", "r+b").write(b"kept")
            file = seqdb.open(db, "regions", "big")
            view = file.memoryview()
            file.close()
            db.close()
            other = seqdb.load(sqlite3.connect("a.db", isolation_level=None))
            other.execute("DELETE FROM regions")
            other.execute("INSERT INTO regions(regions) VALUES ('compact')")
            size = os.stat("regions/data").st_size
            print(bytes(view[:4]), bytes(view[-2:]), len(view), size >= 20000000)
            del view, file
            other.execute("INSERT INTO regions(regions) VALUES ('compact')")
            print(os.stat("regions/data").st_size < size)
            print(other.execute("SELECT seqdb_check('regions')").fetchall())
        """), "b'kept' b'\\x00\\x00' 20000000 True\nTrue\n[('ok',)]\n")

    def test_the_directory_is_closed_when_the_last_view_goes(self):
        db = self.connect(isolation_level=None)
        file = seqdb.open(db, "regions", "log")
        view = file.memoryview()
        file.close()
        db.close()
        self.db.close()

        def is_open():
            paths = [os.readlink("/proc/self/fd/" + fd) for fd in os.listdir("/proc/self/fd")
                     if os.path.islink("/proc/self/fd/" + fd)]
            return any(path.startswith(os.path.realpath(self.folder)) for path in paths)

        self.assertTrue(is_open())
        del view
        self.assertFalse(is_open())

    def test_any_thread_may_drop_the_last_reference(self):
        views = [self.view()]
        thread = threading.Thread(target=views.clear)
        thread.start()
        thread.join()
        self.assertEqual((views, self.snapshots()), ([], 0))

    def test_many_threads_take_and_drop_views(self):
        problems = []

        def work(number):
            try:
                db = sqlite3.connect("a.db", timeout=10, isolation_level=None)
                seqdb.load(db)
                for _ in range(50):
                    if bytes(self.view(db=db)) != b"first\nsecond\n":
                        problems.append("other bytes")
                db.close()
            except Exception as error:
                problems.append(repr(error))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual((problems, self.snapshots()), ([], 0))

    def test_a_reference_that_goes_while_the_connection_works_lets_go(self):
        views = [self.view()]

        def drop():
            views.clear()
            return 0

        self.db.set_progress_handler(drop, 1)
        self.one("SELECT count(*) FROM regions")
        self.db.set_progress_handler(None, 0)
        self.assertEqual((views, self.snapshots()), ([], 0))

    def test_a_child_leaves_the_pins_of_its_parent_alone(self):
        self.assertEqual(self.output_of("""
            view = seqdb.open(db, "regions", "log").memoryview()
            child = os.fork()
            if child == 0:
                print(bytes(view), flush=True)
                del view  # says nothing, and changes nothing
                os._exit(0)
            print(os.waitpid(child, 0)[1], bytes(view))
            print(db.execute("SELECT seqdb_stat('regions') ->> 'snapshots'").fetchone())
        """), "b'first\\nsecond\\n'\n0 b'first\\nsecond\\n'\n(1,)\n")

    def test_a_child_that_opens_the_database_anew_has_views_of_its_own(self):
        self.assertEqual(self.output_of("""
            view = seqdb.open(db, "regions", "log").memoryview()
            child = os.fork()
            if child == 0:
                own = seqdb.load(sqlite3.connect("a.db", isolation_level=None))
                own.execute("INSERT INTO regions(name, append) VALUES ('log', 'third')")
                status = 0 if bytes(seqdb.open(own, "regions", "log").memoryview())[13:] == b"third" else 1
                os._exit(status)
            print(os.waitpid(child, 0)[1], bytes(view))
        """), "0 b'first\\nsecond\\n'\n")

    def test_a_view_at_the_end_of_the_program_is_no_crash(self):
        for last in ("", "db.close()", "sys.exit(0)", "import threading; threading.Thread(target=print).start()"):
            program = 'view = seqdb.open(db, "regions", "log").memoryview(); cycle = [view]; cycle.append(cycle)\n'
            self.assertIn(self.output_of(program + last), ("", "\n"))

    # ---- tables of all kinds ----

    def test_tables_of_every_option(self):
        self.db.close()
        for option in ("readonly=1", "immutable=1", "locking=exclusive", "mmap=0", "sync=off", "atomic=0"):
            with self.subTest(option=option):
                directory = "copy " + re.sub(r"\W", "'", option)
                with self.opened() as db:
                    db.execute("SELECT seqdb_backup('regions', ?)", (directory,))
                db = self.connect(option + ".db", isolation_level=None)
                path = directory.replace("'", "''")
                db.execute("CREATE VIRTUAL TABLE regions USING seqdb('%s', %s)" % (path, option))
                view = self.view(db=db)
                self.assertEqual(bytes(view), b"first\nsecond\n")
                db.close()
                self.assertEqual(bytes(view), b"first\nsecond\n")

    def test_a_connection_that_may_not_write_has_views_too(self):
        for file, options, pragma in (
            ("file:a.db?mode=ro", {"uri": True}, "SELECT 1"),
            ("a.db", {}, "PRAGMA query_only = 1"),
        ):
            db = self.connect(file, isolation_level=None, **options)
            db.execute(pragma)
            view = self.view(db=db)
            self.assertEqual(bytes(view[:2]), b"fi")
            # An overwrite that waits is written out by whoever may write.
            self.db.execute("SELECT seqdb_write('regions', 'log', 0, 'FIRST')")
            with self.fails(seqdb.PinError, "region 'log' cannot be pinned"):
                self.view(db=db)
            self.assertEqual(bytes(self.view(db=db, copy=None)[:5]), b"FIRST")
            del view
            self.db.execute("INSERT INTO regions(regions) VALUES ('checkpoint')")
            self.assertEqual(bytes(self.view(db=db)[:5]), b"FIRST")
            self.db.execute("SELECT seqdb_write('regions', 'log', 0, 'first')")
            self.db.execute("INSERT INTO regions(regions) VALUES ('checkpoint')")

    def opened(self):
        db = self.connect(isolation_level=None)

        class Closing:
            def __enter__(self):
                return db

            def __exit__(self, *details):
                db.close()

        return Closing()

    @unittest.skipIf(os.geteuid() == 0, "root may write everything")
    def test_an_immutable_table_where_nothing_can_be_written(self):
        self.db.close()
        with self.opened() as db:
            db.execute("DROP TABLE regions")
            db.execute("CREATE VIRTUAL TABLE regions USING seqdb('regions', immutable=1)")
        for path in ("regions/" + name for name in os.listdir("regions")):
            os.chmod(path, 0o444)
        os.chmod("regions", 0o555)
        self.addCleanup(os.chmod, "regions", 0o755)
        with self.opened() as db:
            self.assertEqual(bytes(self.view(db=db)), b"first\nsecond\n")

    def test_in_memory_and_in_temp(self):
        db = self.connect(":memory:", isolation_level=None)
        db.execute("CREATE VIRTUAL TABLE regions USING seqdb('in memory')")
        db.execute("CREATE VIRTUAL TABLE temp.t USING seqdb('%s/in temp')" % self.folder)
        for table in ("regions", "temp.t"):
            seqdb.Regions(db, table).append("log", b"1234")
            view = seqdb.open(db, table, "log").memoryview()
            self.assertEqual(bytes(view), b"1234")

    def test_a_holder_that_cannot_be_had_is_an_error_and_pins_nothing(self):
        def private(client):
            raise sqlite3.OperationalError("no memory for this")

        original, type(_pin.client_of(self.db)).private = type(_pin.client_of(self.db)).private, private
        self.addCleanup(setattr, type(_pin.client_of(self.db)), "private", original)
        with self.fails(sqlite3.OperationalError, "no memory for this"):
            self.view()
        self.assertEqual(self.snapshots(), 0)


class Numbers(Base):
    def array(self, dtype="u1", copy=False, name="n"):
        return seqdb.open(self.db, "regions", name).numpy(dtype, copy)

    def setUp(self):
        super().setUp()
        self.db.execute("INSERT INTO regions(name, content) VALUES ('n', ?)", (struct.pack("<5d", 1, 2, 3, 4.5, -1),))

    @needs_numpy
    def test_an_array_of_each_type_points_into_the_file(self):
        before = mapped("/regions/data")
        array = self.array("<f8")
        self.assertEqual(mapped("/regions/data"), before + 1)
        self.assertEqual((array.tolist(), array.dtype, array.shape), ([1, 2, 3, 4.5, -1], numpy.dtype("<f8"), (5,)))
        self.assertEqual(self.array([("a", "<f8")])["a"].sum(), 9.5)
        self.assertEqual(self.array().size, 40)
        self.assertEqual(self.array(numpy.int64).size, 5)
        self.assertEqual(array.ctypes.data % 4096, 0)

    @needs_numpy
    def test_an_array_cannot_be_written(self):
        for copy in (False, True):
            array = self.array("<f8", copy)
            with self.assertRaises(ValueError):
                array[0] = 7
            with self.assertRaises(ValueError):
                array.flags.writeable = True

    @needs_numpy
    def test_an_array_keeps_the_pin_and_so_does_a_slice_of_it(self):
        array = self.array("<f8")
        part = array.reshape(5, 1)[1:3].view("u8")
        del array
        self.assertEqual(self.snapshots(), 1)
        self.assertEqual(part.view("f8").tolist(), [[2], [3]])
        del part
        self.assertEqual(self.snapshots(), 0)

    @needs_numpy
    def test_an_array_that_is_kept_after_close_is_readable_while_others_remove_and_compact(self):
        self.assertEqual(self.output_of("""
            import numpy
            db.execute("INSERT INTO regions(name, content) VALUES ('big', ?)", (numpy.arange(1000000.0).tobytes(),))
            array = seqdb.open(db, "regions", "big").numpy("<f8")
            db.close()
            other = seqdb.load(sqlite3.connect("a.db", isolation_level=None))
            other.execute("DELETE FROM regions")
            other.execute("INSERT INTO regions(regions) VALUES ('compact')")
            other.execute("INSERT INTO regions(name, content) VALUES ('x', randomblob(9000000))")
            other.close()
            print(array.sum() == 999999 * 500000)
        """), "True\n")

    @needs_numpy
    def test_what_is_no_whole_number_of_items_is_refused(self):
        with self.fails(ValueError, "region 'log': its length 13 is no multiple of 8, the size of float64"):
            self.array("<f8", name="log")
        for dtype in (object, "S0", [("a", object)]):
            with self.fails(ValueError, "cannot lie in a region"):
                self.array(dtype)
        with self.assertRaises(TypeError):
            self.array("no type")
        self.assertEqual(self.snapshots(), 0)

    @needs_numpy
    def test_an_empty_region_is_an_empty_array(self):
        self.db.execute("INSERT INTO regions(name) VALUES ('empty')")
        for copy in (False, True):
            array = self.array("<f8", copy, "empty")
            self.assertEqual((array.shape, array.dtype, array.flags.writeable), ((0,), numpy.dtype("f8"), False))

    @needs_numpy
    def test_uncommitted_changes_are_an_error_or_a_copy(self):
        self.db.execute("BEGIN")
        with seqdb.open(self.db, "regions", "n", "ab") as file:
            file.write(struct.pack("<d", 100))
            with self.assertRaises(seqdb.PinError):
                file.numpy("<f8")
            self.assertEqual(file.numpy("<f8", copy=None).sum(), 109.5)

    @unittest.skipIf(numpy, "numpy is installed")
    def test_without_numpy_it_says_so(self):
        with self.fails(ImportError, "needs the package numpy: install it, or use memoryview()"):
            self.array("<f8")
