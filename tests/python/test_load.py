# SPDX-License-Identifier: MIT
"""Finding and loading the extension, and each way in which that can fail: one exception, one sentence."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import typing
import unittest
from unittest import mock

import seqdb
from seqdb import _client, _file, _library, _pin, _regions, _table
from support import AUTO, LOADS, Base, Folder, environment, needs_loading


class Finding(Folder):
    def library_without(self, inside):
        """library() of a copy of the package, with or without its own seqdb.so."""
        package = os.path.join(tempfile.mkdtemp(dir=self.folder), "seqdb")
        shutil.copytree(os.path.dirname(seqdb.__file__), package)
        own = os.path.join(package, _library.FILE)
        if not inside and os.path.exists(own):
            os.remove(own)
        program = "import seqdb; print(seqdb.library())"
        return subprocess.run(
            [sys.executable, "-c", program],
            env=dict(os.environ, PYTHONPATH=os.path.dirname(package)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ).stdout.strip()

    def test_the_one_inside_the_package_comes_first(self):
        with environment(SEQDB_LIBRARY="/nowhere/seqdb.so"):
            self.assertRegex(self.library_without(True), "^%s/[^/]+/seqdb/seqdb.so$" % self.folder)

    def test_then_the_one_that_the_environment_names_with_or_without_its_suffix(self):
        path = os.path.join(self.folder, "mine.so")
        shutil.copy(seqdb.library(), path)
        for named in (path, path[:-3]):
            with environment(SEQDB_LIBRARY=named):
                self.assertEqual(self.library_without(False), path)

    def test_a_variable_that_leads_nowhere_is_told(self):
        with environment(SEQDB_LIBRARY="/nowhere/seqdb.so"):
            told = self.library_without(False).splitlines()[-1]
        self.assertEqual(
            told,
            "seqdb.LoadError: seqdb: SEQDB_LIBRARY is /nowhere/seqdb.so, and there is no such file: "
            "set it to the path of seqdb.so",
        )

    def test_no_library_at_all_is_told_with_the_way_out(self):
        with environment(SEQDB_LIBRARY=None), mock.patch.object(_library, "SYSTEM", ()):
            # In this process: the folders of the system may have one.
            with mock.patch.object(_library.os.path, "exists", lambda path: False):
                with self.fails(seqdb.LoadError, "there is no seqdb.so", "set SEQDB_LIBRARY to its path"):
                    seqdb.library()

    def test_a_folder_of_the_system_comes_last(self):
        os.makedirs("lib/x/sqlite3")
        shutil.copy(seqdb.library(), "lib/x/sqlite3/seqdb.so")
        with environment(SEQDB_LIBRARY=None), mock.patch.object(_library.os.path, "exists", lambda path: False):
            with mock.patch.object(_library, "SYSTEM", ("lib/*/sqlite3",)):
                self.assertEqual(seqdb.library(), "lib/x/sqlite3/seqdb.so")


class Loading(Folder):
    def plain(self):
        db = sqlite3.connect(":memory:")
        self.addCleanup(db.close)
        return db

    def test_load_gives_the_connection_back_and_the_version_is_that_of_the_package(self):
        db = self.plain()
        self.assertIs(seqdb.load(db), db)
        self.assertEqual(db.execute("SELECT seqdb_version()").fetchone(), (seqdb.__version__,))
        self.assertIs(seqdb.load(db), db)  # again: nothing to do

    @needs_loading
    def test_loading_is_off_afterwards_also_when_it_failed(self):
        db = self.plain()
        for library in (seqdb.library(), "/nowhere/seqdb.so"):
            try:
                seqdb.load(db, library)
            except seqdb.LoadError:
                pass
            with self.assertRaisesRegex(sqlite3.OperationalError, "not authorized"):
                db.execute("SELECT load_extension('x')")

    @unittest.skipIf(LOADS or AUTO, "this sqlite3 module can load extensions")
    def test_a_python_that_was_built_without_loading_is_told_what_to_do(self):
        with self.fails(seqdb.LoadError, "was built without loading of extensions", sys.executable, "APSW"):
            seqdb.load(self.plain())

    @needs_loading
    def test_a_module_without_loading_is_told_what_to_do(self):
        class Connection(sqlite3.Connection):
            enable_load_extension = None

        db = sqlite3.connect(":memory:", factory=Connection)
        self.addCleanup(db.close)
        with self.fails(seqdb.LoadError, "was built without loading of extensions", sys.executable, "APSW"):
            seqdb.load(db)

    @needs_loading
    def test_an_sqlite_that_is_too_old_is_told(self):
        db = self.plain()
        db.create_function("sqlite_version", 0, lambda: "3.37.2")
        with self.fails(seqdb.LoadError, "needs SQLite 3.38 or newer, and this connection has 3.37.2"):
            seqdb.load(db)
        with self.assertRaisesRegex(sqlite3.OperationalError, "no such function: seqdb_version"):
            db.execute("SELECT seqdb_version()")

    @needs_loading
    def test_a_missing_file_is_told(self):
        with self.fails(seqdb.LoadError, "/nowhere/seqdb.so cannot be read: No such file", "set SEQDB_LIBRARY"):
            seqdb.load(self.plain(), "/nowhere/seqdb.so")

    @needs_loading
    def test_a_file_that_is_no_library_is_told(self):
        with open("seqdb.so", "w") as file:
            file.write("<html>not found</html>")
        with self.fails(seqdb.LoadError, "seqdb.so is no library: build seqdb"):
            seqdb.load(self.plain(), os.path.abspath("seqdb.so"))

    @needs_loading
    def test_a_library_of_another_platform_is_told_and_named(self):
        with open(seqdb.library(), "rb") as file:
            library = bytearray(file.read())
        other = 183 if library[18] != 183 else 62
        library[18:20] = other.to_bytes(2, "little")
        with open("seqdb.so", "wb") as file:
            file.write(library)
        name = _library.MACHINES[other]
        with self.fails(seqdb.LoadError, "seqdb.so, made for %s, 64 bits, cannot be loaded here" % name, "wheel"):
            seqdb.load(self.plain(), os.path.abspath("seqdb.so"))

    @needs_loading
    def test_a_library_that_needs_a_newer_c_library_is_told(self):
        with open(seqdb.library(), "rb") as file:
            library = file.read()
        if b"GLIBC_2.34\0" not in library:
            self.skipTest("this build needs no GLIBC_2.34")
        # The version's hash stands in the file too: ELF's, of the old and the new name.
        newer = library.replace(b"GLIBC_2.34\0", b"GLIBC_9.99\0")
        newer = newer.replace(elf_hash(b"GLIBC_2.34"), elf_hash(b"GLIBC_9.99"))
        with open("seqdb.so", "wb") as file:
            file.write(newer)
        with self.fails(seqdb.LoadError, "cannot be loaded here", "GLIBC_9.99' not found"):
            seqdb.load(self.plain(), os.path.abspath("seqdb.so"))

    @needs_loading
    def test_another_library_is_told(self):
        with open("/proc/self/maps") as maps:
            library = next(line.split()[-1] for line in maps if "libm" in line or "libz" in line)
        with self.fails(seqdb.LoadError, "cannot be loaded here", "undefined symbol"):
            seqdb.load(self.plain(), library)

    def test_what_is_no_connection_is_told(self):
        with self.fails(TypeError, "a connection of sqlite3, APSW or SQLAlchemy is needed, not builtins.str"):
            seqdb.load("a.db")

    def test_a_closed_connection_says_so_itself(self):
        db = self.plain()
        db.close()
        with self.fails(sqlite3.ProgrammingError, "closed database"):
            seqdb.load(db)

    @unittest.skipIf(AUTO, "here every connection has it")
    def test_using_it_before_loading_is_told(self):
        db = self.plain()
        for use in (lambda: seqdb.open(db, "regions", "log"), lambda: seqdb.Regions(db, "regions")):
            with self.fails(seqdb.LoadError, "not loaded into this connection: call seqdb.load(connection)"):
                use()


@unittest.skipIf(AUTO, "here every connection has one version")
@needs_loading
class TwoVersions(Base):
    def other_version(self):
        path = os.path.join(self.folder, "other.so")
        with open(seqdb.library(), "rb") as file:
            library = file.read()
        text = seqdb.__version__.encode() + b"\0"
        self.assertIn(text, library)
        with open(path, "wb") as file:
            file.write(library.replace(text, b"9.9.9\0"))
        return path

    def load_by_hand(self, path):
        db = sqlite3.connect("a.db", timeout=10, isolation_level=None)
        self.addCleanup(db.close)
        db.enable_load_extension(True)
        db.execute("SELECT load_extension(?, 'sqlite3_seqdb_init')", (path,))
        return db

    def test_a_connection_that_has_another_version_is_told_both(self):
        db = self.load_by_hand(self.other_version())
        with self.fails(seqdb.LoadError, "has version 9.9.9", "this package is " + seqdb.__version__):
            seqdb.load(db)

    def test_a_file_of_another_version_is_told_both(self):
        db = sqlite3.connect(":memory:")
        self.addCleanup(db.close)
        with self.fails(seqdb.LoadError, "has version 9.9.9", "this package is " + seqdb.__version__):
            seqdb.load(db, self.other_version())

    def test_two_connections_of_one_process_with_a_version_each_work_and_see_each_other(self):
        other = self.load_by_hand(self.other_version())
        view = seqdb.open(self.db, "regions", "log").memoryview()
        other.execute("INSERT INTO regions(name, append) VALUES ('log', 'third')")
        other.execute("SELECT seqdb_write('regions', 'log', 0, 'FIRST')")
        self.assertEqual(bytes(view), b"first\nsecond\n")
        self.assertEqual(seqdb.open(self.db, "regions", "log").read(), b"FIRST\nsecond\nthird")
        self.assertEqual(self.one("SELECT seqdb_check('regions')"), "ok")


@unittest.skipIf(AUTO, "the extension is registered with one SQLite")
class TwoSqlites(Folder):
    def test_one_file_is_not_loaded_into_two_sqlites_of_one_process(self):
        db = self.connect(":memory:")
        other = sqlite3.connect(":memory:")
        self.addCleanup(other.close)
        # An SQLite of another build says something else here.
        other.create_function("sqlite_source_id", 0, lambda: "2030-01-01 another SQLite")
        with self.fails(seqdb.LoadError, "serves another SQLite in this process already", "copy the file"):
            seqdb.load(other)
        copy = os.path.join(self.folder, "copy.so")
        shutil.copy(seqdb.library(), copy)
        seqdb.load(other, copy)
        self.assertEqual(other.execute("SELECT seqdb_version()").fetchall(), [(seqdb.__version__,)])
        self.assertEqual(db.execute("SELECT seqdb_version()").fetchall(), [(seqdb.__version__,)])


class Types(unittest.TestCase):
    def test_the_package_says_that_it_has_types_and_they_are_names_that_exist(self):
        self.assertTrue(os.path.exists(os.path.join(os.path.dirname(seqdb.__file__), "py.typed")))
        if sys.version_info < (3, 10):
            self.skipTest("`int | None` is evaluated by Python 3.10 and newer")
        checked = 0
        for module in (_client, _file, _library, _pin, _regions, _table):
            module.numpy = mock.MagicMock()  # known to type checkers alone
            for thing in vars(module).values():
                if getattr(thing, "__module__", None) != module.__name__:
                    continue
                functions = vars(thing).values() if isinstance(thing, type) else [thing]
                for function in functions:
                    if callable(function) and getattr(function, "__module__", None) == module.__name__:
                        scope = dict(vars(module), memoryview=memoryview, **vars(typing))
                        self.assertIn("return", typing.get_type_hints(function, scope), function)
                        checked += 1
        self.assertGreater(checked, 60)

    def test_every_public_name_is_there(self):
        for name in seqdb.__all__:
            self.assertTrue(hasattr(seqdb, name), name)


def elf_hash(name):
    h = 0
    for byte in name:
        h = (h << 4) + byte
        h = (h ^ ((h & 0xF0000000) >> 24)) & 0x0FFFFFFF
    return h.to_bytes(4, "little")


if __name__ == "__main__":
    unittest.main()
