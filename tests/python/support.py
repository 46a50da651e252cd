# SPDX-License-Identifier: MIT
"""What the tests of the package share.  They run on the package as it is installed (tests/project/python.test).

Where this Python's sqlite3 cannot load extensions (pyenv), SEQDB_AUTO=1 registers the extension with SQLite itself
before any connection is opened: so the rest can be tried with that Python too.
"""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import unittest

import seqdb

try:
    import apsw
except ImportError:
    apsw = None
try:
    import sqlalchemy
except ImportError:
    sqlalchemy = None
try:
    import numpy
except ImportError:
    numpy = None

AUTO = os.environ.get("SEQDB_AUTO") == "1"
LOADS = hasattr(sqlite3.Connection, "enable_load_extension")

if AUTO:
    import ctypes

    ctypes.CDLL("libsqlite3.so.0").sqlite3_auto_extension(ctypes.CDLL(seqdb.library()).sqlite3_seqdb_init)

needs_numpy = unittest.skipUnless(numpy, "numpy is not installed")
needs_loading = unittest.skipUnless(LOADS, "this sqlite3 module cannot load extensions")


class Folder(unittest.TestCase):
    """Each test has an empty folder and is in it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="seqdb-python-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.addCleanup(os.chdir, os.getcwd())
        os.chdir(self.folder)

    def connect(self, file="a.db", **options):
        options.setdefault("timeout", 10)
        db = sqlite3.connect(file, **options)
        self.addCleanup(db.close)
        return seqdb.load(db)

    def fails(self, kind, *patterns):
        """It raises this, in one line that has all of these in it."""
        return _Fails(self, kind, patterns)


class Base(Folder):
    """... with a database in WAL mode, a table `regions` and a region `log` in it; `db` commits each statement."""

    def setUp(self):
        super().setUp()
        self.db = self.connect(isolation_level=None)
        self.db.execute("PRAGMA journal_mode = WAL")
        self.db.execute("CREATE VIRTUAL TABLE regions USING seqdb('regions')")
        self.db.execute("INSERT INTO regions(name, content) VALUES ('log', 'first\nsecond\n')")

    def one(self, sql, *values):
        row = self.db.execute(sql, values).fetchone()
        return row and row[0]

    def content(self, name="log"):
        return self.one("SELECT content FROM regions WHERE name = ?", name)

    def snapshots(self):
        return self.one("SELECT seqdb_stat('regions') ->> 'snapshots'")

    def run_python(self, program, *arguments, **options):
        """A program in another process, with `db` and `seqdb` made."""
        return subprocess.Popen(
            [sys.executable, "-c", HEAD + textwrap.dedent(program), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=dict(os.environ, PYTHONPATH=os.pathsep.join([os.path.dirname(os.path.abspath(__file__))] + sys.path)),
            **options,
        )

    def output_of(self, program, *arguments):
        process = self.run_python(program, *arguments)
        output = process.communicate(timeout=120)[0]
        return "%s%s" % (output, "" if process.returncode == 0 else "exit %d" % process.returncode)


HEAD = """
import sqlite3, sys, os, time
import support, seqdb
db = seqdb.load(sqlite3.connect("a.db", timeout=20, isolation_level=None))
"""


class _Fails:
    def __init__(self, case, kind, patterns):
        self.case, self.patterns = case, patterns
        self.context = case.assertRaises(kind)

    def __enter__(self):
        self.context.__enter__()
        return self.context

    def __exit__(self, *details):
        handled = self.context.__exit__(*details)
        if handled:
            told = str(self.context.exception)
            self.case.assertNotIn("\n", told)
            for pattern in self.patterns:
                self.case.assertIn(pattern, told)
        return handled


@contextlib.contextmanager
def environment(**values):
    before = dict(os.environ)
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
