# SPDX-License-Identifier: MIT
"""seqdb: named, growing regions of bytes beside an SQLite file, in one transaction with its rows.

    db = seqdb.load(sqlite3.connect("tour.db"))
    with db, seqdb.open(db, "regions", "log", "ab") as log:
        log.write(b"a line\n")

sqlite3, APSW and SQLAlchemy connections are taken.  README.md beside this package has all of it, with examples.
"""

from __future__ import annotations

from ._errors import Error, LoadError, PinError, RegionExistsError, RegionNotFoundError
from ._file import BufferedRegionRandom, BufferedRegionReader, BufferedRegionWriter, RegionFile, open
from ._library import VERSION as __version__
from ._library import library, load
from ._regions import Regions

__all__ = [
    "BufferedRegionRandom",
    "BufferedRegionReader",
    "BufferedRegionWriter",
    "Error",
    "LoadError",
    "PinError",
    "RegionExistsError",
    "RegionFile",
    "RegionNotFoundError",
    "Regions",
    "__version__",
    "library",
    "load",
    "open",
]
