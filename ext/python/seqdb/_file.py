# SPDX-License-Identifier: MIT
"""A region as a file object, raw or buffered as the built-in open() makes them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Union

from . import _pin
from ._table import Region, Table, open_region

if TYPE_CHECKING:
    import numpy

BUFFER_BYTES = 128 << 10


class RegionFile(io.RawIOBase):
    """A region, read and written through the connection: in its transaction, and with its own changes to be seen.

    Outside a transaction each write is a commit.  The sqlite3 module's default mode begins a transaction, as before an
    INSERT; commit() of the connection ends it.  Closing a file commits nothing.
    """

    def __init__(self, connection: Any, table: str, name: str, mode: str = "rb") -> None:
        super().__init__()
        kind = _kind_of(mode)
        self._readable = kind == "r" or "+" in mode
        self._writable = kind != "r" or "+" in mode
        self._appends = kind == "a"
        self._at = 0
        self.mode = mode
        self.name = name
        self.table = table
        found = Table(connection, table)
        if kind == "x":
            found.create(name)
        elif kind == "w":
            self._truncated(found, name)
        elif kind == "a":
            if found.find(name) is None:
                found.append(name, b"")
        self._region: Region = open_region(found, name)
        if self._appends:
            self._at = self._region.life.length

    @staticmethod
    def _truncated(table: Table, name: str) -> None:
        with table.client.atomic():
            table.append(name, b"")
            open_region(table, name).set_length(0)

    # ---- what a raw file can ----

    def close(self) -> None:
        super().close()
        if hasattr(self, "_region"):
            self._region.holder = None

    def readable(self) -> bool:
        self._check_open()
        return self._readable

    def writable(self) -> bool:
        self._check_open()
        return self._writable

    def seekable(self) -> bool:
        self._check_open()
        return True

    def readinto(self, buffer: Any) -> int:
        self._check(self._readable, "read")
        target = memoryview(buffer).cast("B")
        data = self._region.read(self._at, len(target)) if len(target) else b""
        target[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        self._check(self._readable, "read")
        data = self._region.read_rest(self._at)
        self._at += len(data)
        return data

    def write(self, data: Any) -> int:
        self._check(self._writable, "write")
        source = _bytes_of(data)
        if len(source) == 0:
            return 0
        if self._appends:
            self._at = self._region.append(source)
        else:
            self._region.write(self._at, source)
            self._at += len(source)
        return len(source)

    def append(self, data: Any) -> int:
        """Add bytes at the end, wherever the position is.  Returns the offset at which they begin."""
        self._check(self._writable, "append")
        source = _bytes_of(data)
        return self._region.append(source) - len(source)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._check_open()
        if whence == io.SEEK_CUR:
            offset += self._at
        elif whence == io.SEEK_END:
            offset += self._region.length()
        elif whence != io.SEEK_SET:
            raise ValueError("seqdb: seek: whence is %r, not 0, 1 or 2" % (whence,))
        if offset < 0:
            raise ValueError("%s: region '%s': seek to %d, before its beginning" % (self.table, self.name, offset))
        self._at = offset
        return offset

    def tell(self) -> int:
        self._check_open()
        return self._at

    def truncate(self, size: int | None = None) -> int:
        """Cut, or extend with zeros, to `size` or the position.  The position stays."""
        self._check(self._writable, "truncate")
        size = self._at if size is None else size
        if size < 0:
            raise ValueError("%s: region '%s': truncate to %d, before its beginning" % (self.table, self.name, size))
        self._region.set_length(size)
        return size

    # ---- the bytes without a copy ----

    def memoryview(self, copy: bool | None = False) -> memoryview:
        """All bytes of the region as they are committed now, read-only, where they lie in the file.

        They stay as they are, and readable, for as long as anything refers to them: also when the file or the
        connection is closed.  Meanwhile they hold back space that others free.

        PinError: changes of this transaction are not committed, or an overwrite waits for an older reader.  Then
        copy=None makes a copy, with these changes.  copy=True always does.
        """
        self._check_open()
        return _pin.view(self._region, copy)

    def numpy(self, dtype: Any = "u1", copy: bool | None = False) -> "numpy.ndarray[Any, Any]":
        """The same as an array of numpy, read-only.  The region has to hold a whole number of items."""
        return _array_of(self, dtype, copy)

    def _check_open(self) -> None:
        if self.closed:
            raise ValueError("%s: region '%s': the file is closed" % (self.table, self.name))

    def _check(self, allowed: bool, what: str) -> None:
        self._check_open()
        if not allowed:
            raise io.UnsupportedOperation(
                "%s: region '%s': cannot %s: it is open with mode %r" % (self.table, self.name, what, self.mode)
            )

    def __repr__(self) -> str:
        return "<seqdb.RegionFile table=%r name=%r mode=%r>" % (self.table, self.name, self.mode)


def _bytes_of(data: Any) -> memoryview:
    if isinstance(data, str):
        raise TypeError("seqdb: bytes are needed, not str: encode it, or wrap the file in io.TextIOWrapper")
    source = memoryview(data)
    return source.cast("B") if source.nbytes else memoryview(b"")


def _kind_of(mode: str) -> str:
    """'r', 'w', 'a' or 'x'; ValueError for what is no mode."""
    kinds = [letter for letter in mode if letter in "rwax"]
    if len(kinds) != 1 or not set(mode) <= set("rwaxb+") or len(set(mode)) != len(mode) or "b" not in mode:
        raise ValueError("seqdb: mode %r is none of 'rb', 'wb', 'xb', 'ab', with or without '+'" % mode)
    return kinds[0]


def _array_of(file: RegionFile, dtype: Any, copy: bool | None) -> "numpy.ndarray[Any, Any]":
    try:
        import numpy
    except ImportError as error:
        raise ImportError("seqdb: numpy() needs the package numpy: install it, or use memoryview()") from error
    kind = numpy.dtype(dtype)
    if kind.hasobject or kind.itemsize == 0:
        raise ValueError("seqdb: an array of %s cannot lie in a region: take a type of numbers" % kind)
    view = file.memoryview(copy)
    if len(view) % kind.itemsize:
        raise ValueError(
            "%s: region '%s': its length %d is no multiple of %d, the size of %s"
            % (file.table, file.name, len(view), kind.itemsize, kind)
        )
    if len(view) == 0:
        empty = numpy.empty(0, kind)
        empty.flags.writeable = False
        return empty
    return numpy.frombuffer(view, kind)


# ---- buffered ------------------------------------------------------------------------------------------------------


class _Views:
    """What the buffered ones have besides: what is in the buffer is written first."""

    def append(self: Any, data: Any) -> int:
        self.flush()
        return self.raw.append(data)

    def memoryview(self: Any, copy: bool | None = False) -> memoryview:
        self.flush()
        return self.raw.memoryview(copy)

    def numpy(self: Any, dtype: Any = "u1", copy: bool | None = False) -> "numpy.ndarray[Any, Any]":
        self.flush()
        return self.raw.numpy(dtype, copy)


class BufferedRegionReader(_Views, io.BufferedReader):
    def append(self, data: Any) -> int:
        return self.raw.append(data)  # says that it is open for reading


class BufferedRegionWriter(_Views, io.BufferedWriter):
    pass


class BufferedRegionRandom(_Views, io.BufferedRandom):
    pass


AnyRegionFile = Union[RegionFile, BufferedRegionReader, BufferedRegionWriter, BufferedRegionRandom]


def open(connection: Any, table: str, name: str, mode: str = "rb", buffering: int = -1) -> AnyRegionFile:
    """Open a region as a file, as the built-in open() does: 'rb', 'wb', 'xb', 'ab', with or without '+'.

    buffering: 0 for none, else the buffer's size in bytes; 128 KiB if it is left out.
    """
    if buffering < -1:
        raise ValueError("seqdb: buffering is %d: 0 is none, else it is the size of the buffer" % buffering)
    raw = RegionFile(connection, table, name, mode)
    if buffering == 0:
        return raw
    size = BUFFER_BYTES if buffering == -1 else buffering
    if raw.readable() and raw.writable():
        return BufferedRegionRandom(raw, size)
    return BufferedRegionReader(raw, size) if raw.readable() else BufferedRegionWriter(raw, size)
