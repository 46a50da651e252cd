#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Statistics of windows over doubles in a region, without a copy, beside numpy.memmap of the same bytes in a file.

    python3 tests/bench/windows.py [--doubles 10000000] [--rounds 15] [--dir FOLDER]

Both are opened anew in each round, by turns, and all that comes out is compared.  Then the same while another process
overwrites and appends to the region, removes others and compacts: the array shows what it showed before.  It prints
medians, and the ratio of the first two: 1 is as fast as numpy.memmap, more is faster.  Exit status 1: a figure was
wrong.
"""

import argparse
import os
import select
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

import seqdb

WINDOW = 1000
CHANGES_SECONDS = 3  # at least


def connect():
    db = seqdb.load(sqlite3.connect("windows.db", timeout=60, isolation_level=None))
    db.execute("PRAGMA journal_mode = WAL")
    return db


def fill(db, doubles):
    db.execute("CREATE VIRTUAL TABLE regions USING seqdb('windows_regions')")
    values = numpy.random.default_rng(1).normal(size=doubles)
    db.execute("BEGIN")
    with seqdb.open(db, "regions", "values", "wb") as region:
        region.write(values)
    db.execute("COMMIT")
    db.execute("SELECT seqdb_export('regions', 'values', 'values')").fetchall()


def windows(array):
    rows = array.reshape(-1, WINDOW)
    return rows.mean(axis=1), rows.min(axis=1), rows.max(axis=1), numpy.einsum("ij,ij->i", rows, rows)


def timed(make):
    begin = time.perf_counter()
    figures = windows(make())
    return time.perf_counter() - begin, figures


def same(one, other):
    return all(numpy.array_equal(a, b) for a, b in zip(one, other))


def rounds(count, ways):
    """{way: seconds of each round}, and whether all figures were the same."""
    seconds = {name: [] for name in ways}
    expected, right = None, True
    for number in range(count + 1):
        for name in sorted(ways, reverse=number % 2 == 0):
            took, figures = timed(ways[name])
            expected = expected or figures
            right = right and same(figures, expected)
            if number > 0:  # the first one warms up
                seconds[name].append(took)
    return seconds, right


def disturb():
    """Until its input ends: every kind of change that could touch the bytes of an array."""
    db = connect()
    done = {"overwrites": 0, "removals": 0, "compactions": 0}
    junk = os.urandom(1 << 20)
    print("ready", flush=True)
    while not select.select([0], [], [], 0)[0]:
        db.execute("SELECT seqdb_write('regions', 'values', ?, ?)", (done["overwrites"] % 50 << 20, junk)).fetchall()
        db.execute("INSERT INTO regions(name, append) VALUES ('values', ?), ('other', ?)", (junk, junk))
        done["overwrites"] += 1
        db.execute("DELETE FROM regions WHERE name = 'other'")
        if done["overwrites"] % 10 == 5:
            # The region itself goes, and another one of that name comes.
            db.execute("INSERT OR REPLACE INTO regions(name, length) VALUES ('values', 80000000)")
        done["removals"] += 1
        db.execute("SELECT seqdb_compact('regions')").fetchall()
        done["compactions"] += 1
    print(", ".join("%d %s" % (number, what) for what, number in done.items()))
    db.close()
    return 0


def beside_changes(db, count):
    """(seconds of each round, were all figures right, what the other process did)"""
    array = seqdb.open(db, "regions", "values").numpy("<f8")
    expected = windows(array)
    command = [sys.executable, os.path.abspath(__file__), "--disturb"]
    other = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "ready\n"
    seconds, right, end = [], True, time.monotonic() + CHANGES_SECONDS
    while len(seconds) < count or time.monotonic() < end:
        took, figures = timed(lambda: array)
        seconds.append(took)
        right = right and same(figures, expected)
    did = other.communicate()[0].strip()
    right = right and other.returncode == 0 and same(windows(array), expected)
    return seconds, right and db.execute("SELECT seqdb_check('regions')").fetchone() == ("ok",), did


def measure(doubles, count):
    db = connect()
    fill(db, doubles)
    seconds, right = rounds(
        count,
        {
            "numpy()": lambda: seqdb.open(db, "regions", "values").numpy("<f8"),
            "numpy.memmap": lambda: numpy.memmap("values", "<f8", "r"),
        },
    )
    disturbed, still_right, did = beside_changes(db, count)
    db.close()
    print("means, minima, maxima and squares of windows of %d, over %d doubles, %d rounds" % (WINDOW, doubles, count))
    seconds["numpy(), beside changes"] = disturbed
    for name, list_of in seconds.items():
        low, middle, high = (1000 * f(list_of) for f in (min, statistics.median, max))
        rate = doubles * 8 / middle / 1e6
        print("%-24s %8.2f ms  (%.2f .. %.2f)  %.2f GB/s" % (name, middle, low, high, rate))
    ratio = statistics.median(seconds["numpy.memmap"]) / statistics.median(seconds["numpy()"])
    print("numpy() is %.2f x as fast as numpy.memmap" % ratio)
    print("meanwhile: %s" % did)
    print("all figures the same: %s" % ("yes" if right and still_right else "NO"))
    return 0 if right and still_right else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--doubles", type=int, default=10_000_000)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--dir")
    parser.add_argument("--disturb", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.disturb:
        return disturb()
    with tempfile.TemporaryDirectory(dir=arguments.dir) as folder:
        os.chdir(folder)
        try:
            return measure(arguments.doubles // WINDOW * WINDOW, arguments.rounds)
        finally:
            os.chdir("/")


if __name__ == "__main__":
    sys.exit(main())
