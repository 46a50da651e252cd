# SPDX-License-Identifier: MIT
#
# measure_numpy.py: doubles that keep coming, as a region, as rows of SQLite, and as a .npy file.
#
#   python3 measure_numpy.py PATH/OF/seqdb CHUNKS        in an empty folder; prints the table of numpy.md
import json
import os
import sqlite3
import statistics
import sys
import time

import numpy as np

EXTENSION, CHUNKS, CHUNK = sys.argv[1], int(sys.argv[2]), 10000
COUNT = CHUNKS * CHUNK
SAMPLES = np.sin(np.arange(COUNT) / 1000)
MIDDLE, WINDOW = COUNT // 2, min(10000, COUNT // 4)


def connect(file, sql):
    db = sqlite3.connect(file, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute(sql)
    return db


def took(function, times=1):
    """(seconds, what it returned); of several times the median."""
    seconds = []
    for i in range(times):
        start = time.perf_counter()
        result = function()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def same(what, got, expected):
    if not np.allclose(got, expected):
        sys.exit("measure: %s: the values differ from what was written" % what)


def one(db, sql, *values):
    return db.execute(sql, values).fetchone()[0]


regions = connect("regions.db", "CREATE VIRTUAL TABLE arrays USING seqdb('regions')")
rows = connect("rows.db", "CREATE TABLE sample(i INTEGER PRIMARY KEY, value REAL)")


def append_regions():
    for i in range(0, COUNT, CHUNK):
        regions.execute("INSERT INTO arrays(name, append) VALUES ('a', ?)", (SAMPLES[i : i + CHUNK].tobytes(),))


def append_rows():
    for i in range(0, COUNT, CHUNK):
        rows.execute("BEGIN")
        values = SAMPLES[i : i + CHUNK].tolist()
        rows.executemany("INSERT INTO sample VALUES (?, ?)", zip(range(i, i + CHUNK), values))
        rows.execute("COMMIT")
    rows.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def save_file():
    with open("a.npy", "wb") as file:
        np.save(file, SAMPLES)
        os.fsync(file.fileno())


def sum_regions():
    return json.loads(one(regions, "SELECT seqdb_aggregate('arrays', 'a', 'f64')"))["sum"]


def as_array_regions():
    return np.frombuffer(one(regions, "SELECT content FROM arrays WHERE name = 'a'"))


def as_array_rows():
    return np.fromiter((value for value, in rows.execute("SELECT value FROM sample ORDER BY i")), float, COUNT)


def mapped_regions():
    pin = json.loads(one(regions, "SELECT seqdb_pin('arrays', 'a')"))
    total = np.memmap(pin["file"], "<f8", "r", pin["offset"], (pin["length"] // 8,)).sum()
    one(regions, "SELECT seqdb_unpin(?)", pin["pin"])
    return total


def window_regions():
    sql = "SELECT substr(content, ? + 1, ?) FROM arrays WHERE name = 'a'"
    return np.frombuffer(one(regions, sql, MIDDLE * 8, WINDOW * 8))


def window_rows():
    sql = "SELECT value FROM sample WHERE i >= ? AND i < ? ORDER BY i"
    return np.fromiter((value for value, in rows.execute(sql, (MIDDLE, MIDDLE + WINDOW))), float, WINDOW)


def overwrite_regions():
    sql = "SELECT seqdb_write('arrays', 'a', ?, ?)"
    one(regions, sql, MIDDLE * 8, SAMPLES[MIDDLE : MIDDLE + 1000].tobytes())


def overwrite_rows():
    values = zip(SAMPLES[MIDDLE : MIDDLE + 1000].tolist(), range(MIDDLE, MIDDLE + 1000))
    rows.execute("BEGIN")
    rows.executemany("UPDATE sample SET value = ? WHERE i = ?", values)
    rows.execute("COMMIT")


def overwrite_file():
    array = np.load("a.npy", mmap_mode="r+")
    array[MIDDLE : MIDDLE + 1000] = SAMPLES[MIDDLE : MIDDLE + 1000]
    array.flush()


def row(what, *functions, expected=None, times=1, unit="s"):
    cells = []
    for function in functions:
        if function is None:
            cells.append("")
            continue
        seconds, result = took(function, times)
        if expected is not None:
            same(what, result, expected)
        number = seconds * {"s": 1, "ms": 1e3, "µs": 1e6}[unit]
        cells.append("%.*f %s" % (2 if number < 10 else 1 if number < 100 else 0, number, unit))
    print("| %s | %s |" % (what, " | ".join(cells)), flush=True)


def flush():
    flushed.write(bytes(4096))
    os.fdatasync(flushed.fileno())


def megabytes(*paths):
    return "%.0f MB" % (sum(os.stat(path).st_blocks for path in paths) * 512 / 1e6)


total = SAMPLES.sum()
cut = SAMPLES[MIDDLE : MIDDLE + WINDOW]
print("| %d doubles | region | rows `sample(i, value)` | .npy file |" % COUNT)
print("|---|---|---|---|")
row("written, %d commits of %d; the file at once" % (CHUNKS, CHUNK), append_regions, append_rows, save_file)
row("sum, in SQL", sum_regions, lambda: one(rows, "SELECT sum(value) FROM sample"), None, expected=total, times=3,
    unit="ms")
row("sum, in numpy, nothing copied", mapped_regions, None, lambda: np.load("a.npy", mmap_mode="r").sum(),
    expected=total, times=3, unit="ms")
row("all of it as an array in memory", as_array_regions, as_array_rows, lambda: np.load("a.npy"),
    expected=SAMPLES, times=3, unit="ms")
row("%d from the middle as an array" % WINDOW, window_regions, window_rows,
    lambda: np.array(np.load("a.npy", mmap_mode="r")[MIDDLE : MIDDLE + WINDOW]), expected=cut, times=50, unit="µs")
row("overwrite 1000 in the middle", overwrite_regions, overwrite_rows, overwrite_file, times=20,
    unit="µs")
print("| disk space | %s | %s | %s |"
      % (megabytes("regions.db", "regions/data", "regions/regions", "regions/journal"), megabytes("rows.db"),
         megabytes("a.npy")))
with open("flush", "wb", buffering=0) as flushed:
    print("\nA flush of 4 KiB took %.2f ms." % (took(flush, 50)[0] * 1000))
