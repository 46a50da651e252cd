# SPDX-License-Identifier: MIT
"""A table of regions, and one region of it: the SQL that files, views and Regions share."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Tuple

from ._client import Client, client_of
from ._errors import Error, LoadError, RegionExistsError, RegionNotFoundError

# A piece that travels through SQL at once.
PIECE_BYTES = 16 << 20

_IDENTIFIER = r"""[^.\[\]"'`]+|\[[^\]]*\]|"(?:[^"]|"")*"|'(?:[^']|'')*'|`(?:[^`]|``)*`"""
_TABLE = re.compile(r"(?:(%s)\.)?(%s)" % (_IDENTIFIER, _IDENTIFIER), re.DOTALL)


def _quoted(identifier: str) -> str:
    mark = identifier[0]
    if mark == "[":
        identifier = identifier[1:-1]
    elif mark in "\"'`":
        identifier = identifier[1:-1].replace(mark * 2, mark)
    return '"%s"' % identifier.replace('"', '""')


class Life(NamedTuple):
    """One life of a region, from its creation to its removal, and how long it is now."""

    rowid: int
    created: int
    length: int

    def is_that_of(self, other: "Life") -> bool:
        return self[:2] == other[:2]


class Table:
    """`text` names it in functions: 'regions', 'main.regions'; `sql` in statements."""

    def __init__(self, connection: Any, text: str) -> None:
        match = _TABLE.fullmatch(text)
        if not match:
            raise ValueError("seqdb: %r is no name of a table: write 'regions' or 'main.regions'" % text)
        self.client: Client = client_of(connection)
        self.text = text
        self.sql = ".".join(_quoted(part) for part in match.groups() if part)
        try:
            self.client.rows("SELECT seqdb_read(?, 'x', 0, 0)", text)  # there is such a table
        except Exception as error:
            if "no such function" in str(error) or "no such module" in str(error):
                raise LoadError("seqdb is not loaded into this connection: call seqdb.load(connection)") from error
            raise

    def missing(self, name: str) -> RegionNotFoundError:
        return RegionNotFoundError("%s: there is no region '%s'" % (self.text, name))

    def find(self, name: str) -> Life | None:
        row = self.client.row("SELECT rowid, created, length FROM %s WHERE name = ?" % self.sql, name)
        return Life(*row) if row else None

    def create(self, name: str) -> None:
        try:
            self.client.change("INSERT INTO %s(name) VALUES (?)" % self.sql, name)
        except Exception as error:
            if "UNIQUE constraint failed" not in str(error):
                raise
            raise RegionExistsError("%s: there is a region '%s' already" % (self.text, name)) from error

    def append(self, name: str, data: Any) -> None:
        """Creates the region if need be."""
        self.client.change("INSERT INTO %s(name, append) VALUES (?, ?)" % self.sql, name, data)

    def read(self, name: str, offset: int, count: int) -> bytes | None:
        return self.client.value("SELECT seqdb_read(?, ?, ?, ?)", self.text, name, offset, count)

    def read_rest(self, name: str, offset: int) -> bytes:
        """All from an offset on, as of one moment, however long it is."""
        sql = "SELECT offset, content FROM seqdb_chunks(?, ?, ?) WHERE offset > ?"
        rows = self.client.rows(sql, self.text, name, PIECE_BYTES, offset - PIECE_BYTES)
        return b"".join(content[max(0, offset - start) :] for start, content in rows)


class Region:
    """One life of a region, under the name by which it was opened.

    Others may remove it, or make another one of that name.  Whatever is done with it looks afterwards whether it was
    done to this one: a change that was not is undone.
    """

    def __init__(self, table: Table, name: str, life: Life) -> None:
        self.table = table
        self.client = table.client
        self.name = name
        self.life = life
        self.holder: Any = None  # of pins: _pin.py

    def gone(self) -> RegionNotFoundError:
        return RegionNotFoundError(
            "%s: region '%s' was removed or renamed since it was opened: open it again" % (self.table.text, self.name)
        )

    def length(self) -> int:
        now = self.table.find(self.name)
        if now is None or not now.is_that_of(self.life):
            raise self.gone()
        return now.length

    def read(self, offset: int, count: int) -> bytes:
        data = self.table.read(self.name, offset, min(count, PIECE_BYTES))
        self.length()
        if data is None:
            raise self.gone()
        return data

    def read_rest(self, offset: int) -> bytes:
        data = self.table.read_rest(self.name, offset)
        self.length()
        return data

    def append(self, data: memoryview) -> int:
        """The length after it.  All of it, or nothing and an exception."""
        with self.client.atomic():
            for at in range(0, len(data), PIECE_BYTES):
                self.table.append(self.name, data[at : at + PIECE_BYTES])
            return self.length()

    def write(self, offset: int, data: memoryview) -> None:
        """Past the end, zeros fill the gap.  All of it, or nothing and an exception."""
        with self.client.atomic():
            for at in range(0, len(data), PIECE_BYTES):
                self._write_piece(offset + at, data[at : at + PIECE_BYTES])
            self.length()

    def _write_piece(self, offset: int, piece: memoryview) -> None:
        arguments = (self.table.text, self.name, offset, piece)
        try:
            self.client.rows("SELECT seqdb_write(?, ?, ?, ?)", *arguments)
        except Exception as error:
            now = self.length_or(error)
            if now >= offset:
                raise
            self.set_length(offset)
            self.client.rows("SELECT seqdb_write(?, ?, ?, ?)", *arguments)

    def length_or(self, error: Exception) -> int:
        """The length after something failed; if that cannot be told, what failed."""
        try:
            return self.length()
        except Error as gone:
            raise gone from error
        except Exception:
            raise error from None

    def set_length(self, length: int) -> None:
        changed = self.client.change(
            "UPDATE %s SET length = ? WHERE name = ? AND rowid = ? AND created = ?" % self.table.sql,
            length,
            self.name,
            self.life.rowid,
            self.life.created,
        )
        if changed == 0:
            raise self.gone()


def open_region(table: Table, name: str) -> Region:
    life = table.find(name)
    if life is None:
        raise table.missing(name)
    return Region(table, name, life)


def parts(text: str) -> Tuple[str, str]:
    """Schema ('main' if none is said) and table, without quotes."""
    match = _TABLE.fullmatch(text)
    assert match  # Table has looked
    schema, table = (_quoted(part)[1:-1].replace('""', '"') if part else "main" for part in match.groups())
    return schema, table
