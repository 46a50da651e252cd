# SPDX-License-Identifier: MIT
#
# measure_workers.py: four processes append lines and count them in a row, one commit each: into regions, and into an
# ordinary table.
#
#   python3 measure_workers.py PATH/OF/seqdb COMMITS        in an empty folder; prints the table of workers.md
import multiprocessing
import os
import sqlite3
import statistics
import sys
import time

EXTENSION, COMMITS = sys.argv[1], int(sys.argv[2])
PROCESSES, LINES, LINE = 4, 10, "a line of output as programs write them, 79 characters and an end of the line.."
SCHEMA = {
    "regions": "CREATE VIRTUAL TABLE output USING seqdb('output')",
    # The table that is fastest here: no index beside it, and the lines of a job lie together.
    "rows": """CREATE TABLE output(job INTEGER, line_number INTEGER, line TEXT, PRIMARY KEY(job, line_number))
               WITHOUT ROWID""",
}


def connect(folder, synchronous):
    db = sqlite3.connect(folder + "/jobs.db", timeout=600, isolation_level=None)
    db.enable_load_extension(True)
    db.load_extension(EXTENSION)
    db.execute("PRAGMA synchronous = " + synchronous)
    return db


def work(kind, folder, synchronous, job, together):
    db = connect(folder, synchronous)
    text = "".join(LINE + "\n" for i in range(LINES)).encode()
    together.wait()
    for commit in range(COMMITS):
        db.execute("BEGIN IMMEDIATE")
        if kind == "regions":
            db.execute("INSERT INTO output(name, append) VALUES (?, ?)", ("job %d" % job, text))
        else:
            first = commit * LINES
            db.executemany("INSERT INTO output VALUES (?, ?, ?)", [(job, first + i, LINE) for i in range(LINES)])
        db.execute("UPDATE job SET step = step + 1 WHERE id = ?", (job,))
        db.execute("COMMIT")


def prepare(kind, synchronous):
    folder = "%s-%s" % (kind, synchronous)
    os.mkdir(folder)
    db = connect(folder, synchronous)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE job(id INTEGER PRIMARY KEY, step INTEGER)")
    db.executemany("INSERT INTO job VALUES (?, 0)", [(job,) for job in range(PROCESSES)])
    db.execute(SCHEMA[kind])
    db.close()
    return folder


def commits_per_second(kind, synchronous):
    folder = prepare(kind, synchronous)
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(PROCESSES + 1)
    workers = [
        context.Process(target=work, args=(kind, folder, synchronous, job, together)) for job in range(PROCESSES)
    ]
    for worker in workers:
        worker.start()
    together.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    seconds = time.perf_counter() - start
    if any(worker.exitcode for worker in workers):
        sys.exit("measure: a worker failed")
    db = connect(folder, synchronous)
    expected = COMMITS * LINES * (len(LINE) + 1)
    if kind == "regions":
        wrong = db.execute("SELECT count(*) FROM output WHERE length <> ?", (expected,)).fetchone()[0]
    else:
        wrong = db.execute(
            "SELECT count(*) FROM (SELECT sum(length(line) + 1) AS bytes FROM output GROUP BY job) WHERE bytes <> ?",
            (expected,),
        ).fetchone()[0]
    steps = db.execute("SELECT count(*) FROM job WHERE step = ?", (COMMITS,)).fetchone()[0]
    if wrong or steps != PROCESSES:
        sys.exit("measure: %s: the output is not what was written" % kind)
    db.close()
    return PROCESSES * COMMITS / seconds


def median_ms(function, times):
    took = []
    for i in range(times):
        start = time.perf_counter()
        function()
        took.append((time.perf_counter() - start) * 1000)
    return statistics.median(took)


def flush_ms():
    with open("flush", "wb", buffering=0) as file:
        def flush():
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
        return median_ms(flush, 50)


def disk_bytes(folder):
    total = 0
    for where, folders, files in os.walk(folder):
        total += sum(os.stat(os.path.join(where, name)).st_blocks * 512 for name in files)
    return total


def afterwards(kind):
    folder = "%s-%s" % (kind, "NORMAL")
    db = connect(folder, "NORMAL")
    if kind == "regions":
        tail = "SELECT substr(content, -800) FROM output WHERE name = 'job 1'"
        whole = "SELECT content FROM output WHERE name = 'job 1'"
        remove = "DELETE FROM output WHERE name IN ('job 0', 'job 2')"
        give_back = "SELECT seqdb_compact('output')"
    else:
        tail = """SELECT group_concat(line, char(10)) FROM
                    (SELECT line FROM output WHERE job = 1 ORDER BY line_number DESC LIMIT 10)"""
        whole = "SELECT group_concat(line, char(10)) FROM (SELECT line FROM output WHERE job = 1 ORDER BY line_number)"
        remove = "DELETE FROM output WHERE job IN (0, 2)"
        give_back = "VACUUM"
    result = [
        "%.0f MB" % (disk_bytes(folder) / 1e6),
        "%.3f ms" % median_ms(lambda: db.execute(tail).fetchall(), 100),
        "%.1f ms" % median_ms(lambda: db.execute(whole).fetchall(), 5),
    ]
    start = time.perf_counter()
    db.execute(remove)
    db.execute(give_back).fetchall()
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    result.append("%.0f ms" % ((time.perf_counter() - start) * 1000))
    result.append("%.0f MB" % (disk_bytes(folder) / 1e6))
    return result


if __name__ == "__main__":
    speed = {
        (kind, synchronous): "%.0f /s" % commits_per_second(kind, synchronous)
        for synchronous in ("NORMAL", "FULL")
        for kind in SCHEMA
    }
    print("| %d processes, %d commits each of %d lines and a row | regions | table `output(job, line_number, line)` |"
          % (PROCESSES, COMMITS, LINES))
    print("|---|---|---|")
    for synchronous in ("NORMAL", "FULL"):
        print("| commits, `synchronous=%s` | %s | %s |"
              % (synchronous, speed["regions", synchronous], speed["rows", synchronous]))
    names = "disk space", "the last 10 lines of a job", "all of a job's output", "remove two jobs, give the space back"
    for row in zip((*names, "disk space then"), afterwards("regions"), afterwards("rows")):
        print("| %s | %s | %s |" % row)
    print("\nA flush of 4 KiB took %.2f ms." % flush_ms())
