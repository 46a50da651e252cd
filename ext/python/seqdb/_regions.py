# SPDX-License-Identifier: MIT
"""The regions of a table as a mapping from name to length."""

from __future__ import annotations

import time
from collections.abc import ItemsView, Mapping, ValuesView
from typing import Any, Iterator, List, Tuple

from ._client import text_of
from ._errors import Error, RegionExistsError
from ._file import AnyRegionFile, _bytes_of, open
from ._table import PIECE_BYTES, Life, Table

# Python looks for Ctrl-C between two statements, and other threads get the connection then.
SLICE_MS = 200


class Regions(Mapping[str, int]):
    """`name in regions`, `regions[name]` (its length), `del regions[name]`, `len(regions)`, `for name in regions`,
    `for name, length in regions.items()`.

    An iteration is of one moment, and holds nothing open: it may be left at any point, and regions may be changed
    meanwhile.  Changes belong to the connection's transaction, as those of statements do.
    """

    def __init__(self, connection: Any, table: str) -> None:
        self._connection = connection
        self._open: Table | None = Table(connection, table)
        self.table = table

    @property
    def _table(self) -> Table:
        if self._open is None:
            raise ValueError("%s: this Regions object is closed" % self.table)
        return self._open

    def close(self) -> None:
        """It is of no use afterwards.  Commits nothing, and leaves the connection open."""
        self._open = None

    def __enter__(self) -> "Regions":
        self._table
        return self

    def __exit__(self, *details: Any) -> None:
        self.close()

    def __repr__(self) -> str:
        return "<seqdb.Regions table=%r>" % self.table

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    # ---- a mapping ----

    def _rows(self) -> List[Tuple[str, int]]:
        rows = self._table.client.rows("SELECT name, length FROM %s" % self._table.sql)
        return [(text_of(name), length) for name, length in rows]

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, _ in self._rows()])

    def __len__(self) -> int:
        return self._table.client.value("SELECT count(*) FROM %s" % self._table.sql)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._table.find(name) is not None

    def __getitem__(self, name: str) -> int:
        life = self._table.find(name)
        if life is None:
            raise self._table.missing(name)
        return life.length

    def __delitem__(self, name: str) -> None:
        if self._table.client.change("DELETE FROM %s WHERE name = ?" % self._table.sql, name) == 0:
            raise self._table.missing(name)

    def items(self) -> ItemsView[str, int]:
        return _Items(self)

    def values(self) -> ValuesView[int]:
        return _Values(self)

    # ---- what a mapping has not ----

    def open(self, name: str, mode: str = "rb", buffering: int = -1) -> AnyRegionFile:
        """As seqdb.open()."""
        self._table
        return open(self._connection, self.table, name, mode, buffering)

    def rename(self, old: str, new: str) -> None:
        sql = "UPDATE %s SET name = ? WHERE name = ?" % self._table.sql
        try:
            changed = self._table.client.change(sql, new, old)
        except Exception as error:
            if "UNIQUE constraint failed" not in str(error):
                raise
            told = "%s: region '%s' cannot be renamed: there is a region '%s' already" % (self.table, old, new)
            raise RegionExistsError(told) from error
        if changed == 0:
            raise self._table.missing(old)

    def append(self, name: str, data: Any) -> int:
        """Append bytes, creating the region if need be: the offset at which they begin."""
        table, source = self._table, _bytes_of(data)
        with table.client.atomic():
            for at in range(0, max(1, len(source)), PIECE_BYTES):
                table.append(name, source[at : at + PIECE_BYTES])
            return self[name] - len(source)

    def follow(
        self, name: str, start: int = 0, *, timeout: float | None = None, piece: int = 1 << 20
    ) -> Iterator[bytes]:
        """What is in the region from offset `start` on, and then what is appended, by whatever process, as it is
        committed: bytes, at most `piece` at a time.

        It sleeps between commits, in slices of 0.2 s: Ctrl-C ends it.  It ends when nothing came for `timeout` seconds
        (None: never), and holds nothing between two steps: leave it at any point.  A region that does not exist yet is
        waited for.  If it is removed, renamed or cut below what was read, that is an Error.

        Other threads may use the connection between two slices.  A transaction with changes cannot wait.
        """
        if start < 0 or piece < 1:
            raise ValueError("seqdb: follow: start is %d and piece %d: at least 0, and at least 1" % (start, piece))
        return _follow(self._table, name, start, timeout, piece)


class _Items(ItemsView[str, int]):
    _mapping: Regions

    def __iter__(self) -> Iterator[Tuple[str, int]]:
        return iter(self._mapping._rows())


class _Values(ValuesView[int]):
    _mapping: Regions

    def __iter__(self) -> Iterator[int]:
        return iter([length for _, length in self._mapping._rows()])


def _wait(table: Table, generation: int, until: float | None) -> int | None:
    """The newest generation, when it is newer; None if time is up."""
    while True:
        left = SLICE_MS if until is None else min(SLICE_MS, int(1000 * (until - time.monotonic())) + 1)
        newest = table.client.value("SELECT seqdb_wait(?, ?, ?)", table.text, generation, max(0, left))
        if newest != generation:
            return newest
        if until is not None and time.monotonic() >= until:
            return None


def _follow(table: Table, name: str, at: int, timeout: float | None, piece: int) -> Iterator[bytes]:
    life: Life | None = None
    generation: int | None = 0
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        generation = _wait(table, generation, until)
        if generation is None:
            return
        while True:
            data = table.read(name, at, min(piece, PIECE_BYTES))
            life = _same_life(table, name, life, at)
            if not data or life is None:
                break
            at += len(data)
            yield data
            until = None if timeout is None else time.monotonic() + timeout


def _same_life(table: Table, name: str, before: Life | None, at: int) -> Life | None:
    now = table.find(name)
    if before is not None and (now is None or not now.is_that_of(before)):
        raise Error("%s: region '%s' was removed or renamed while it was followed: follow it anew" % (table.text, name))
    if before is not None and now is not None and now.length < at:
        raise Error(
            "%s: region '%s' was cut to %d bytes while it was followed, and %d were read: follow it anew"
            % (table.text, name, now.length, at)
        )
    return now
