# SPDX-License-Identifier: MIT
"""Bytes of a region where they lie in the file: mapped, and pinned for as long as anything refers to them.

    array, slice, ...  ->  memoryview  ->  Mapping (mmap)  ...  when the last reference goes, the pin goes

A pin belongs to a connection, and ends with it.  An array may outlive the connection of the program: if its pin went,
others could cut the file, and a look at the array would end the process (SIGBUS).  So pins are held by a connection of
this package's own, the holder: one for each directory, in memory, which reads that directory and has no lock of SQLite.
It closes when the last array of its directory is gone, and the last file that made one.  Whichever thread drops the
last reference may give the pin back, at any moment, for nobody else uses the holder.
"""

from __future__ import annotations

import collections
import json
import mmap
import os
import re
import threading
import weakref
from typing import Any, Deque, List, NamedTuple

from ._client import Client, client_of
from ._errors import PinError
from ._library import load_private
from ._table import Region, parts

# A writer that overwrites the region again and again may come between the two pins.
ATTEMPTS = 50


class Place(NamedTuple):
    """Where the bytes are, by seqdb_pin()."""

    pin: int
    file: str
    offset: int
    length: int

    def is_that_of(self, other: "Place") -> bool:
        return self[1:] == other[1:]


class Mapping(mmap.mmap):
    """A mapping that can be referred to weakly."""


def _pin(client: Client, table: str, name: str) -> Place:
    told = json.loads(client.value("SELECT seqdb_pin(?, ?)", table, name))
    return Place(told["pin"], told["file"], told["offset"], told["length"])


# ---- the holder ----------------------------------------------------------------------------------------------------

# What a forked child has from its parent and must not touch.
_left_alone: List[Any] = []


def _close(client: Client, pid: int) -> None:
    if os.getpid() == pid:
        client.close()
    else:
        _left_alone.append(client)


class Holder:
    """Holds pins in one directory.  Any thread may use it."""

    def __init__(self, client: Client, directory: str, option: str) -> None:
        self.pid = os.getpid()
        self.client = client
        self.lock = threading.Lock()
        self.returned: Deque[int] = collections.deque()
        weakref.finalize(self, _close, client, self.pid).atexit = False
        load_private(client)
        client.rows("PRAGMA busy_timeout = 5000")  # another process may be opening the directory, or closing it
        client.rows("CREATE VIRTUAL TABLE pinned USING seqdb('%s', %s)" % (directory.replace("'", "''"), option))

    def pin(self, name: str) -> Place | None:
        """None if there is an overwrite that is not in the file yet: the holder may not write it there."""
        try:
            with self.lock:
                return _pin(self.client, "pinned", name)
        except Exception as error:
            if not any(text in str(error) for text in ("was opened read-only", "keeps this from being written")):
                raise
            return None
        finally:
            self._give_back()

    def unpin(self, pin: int) -> None:
        """Called when a mapping goes, maybe by the garbage collector and in the midst of anything: waits for nobody."""
        if os.getpid() == self.pid:
            self.returned.append(pin)
            self._give_back()

    def _give_back(self) -> None:
        # Who has the lock looks here again when he has given it up.
        while self.returned and self.lock.acquire(blocking=False):
            try:
                while self.returned:
                    self.client.rows("SELECT seqdb_unpin(?)", self.returned.popleft())
            finally:
                self.lock.release()


_holders: "weakref.WeakValueDictionary[Any, Holder]" = weakref.WeakValueDictionary()
_holders_lock = threading.Lock()


def _forget_holders() -> None:
    global _holders, _holders_lock
    _holders, _holders_lock = weakref.WeakValueDictionary(), threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_holders)


def _holder(region: Region, directory: str) -> Holder:
    client = region.client
    key = (type(client_of(client.raw)), type(client.raw), directory)
    with _holders_lock:
        holder = _holders.get(key)
        if holder is None:
            try:
                holder = Holder(client.private(), directory, "readonly=1")
            except Exception:
                # Where `lock` cannot be written only this helps, if the table says that nobody changes anything.
                if not _is_immutable(region):
                    raise
                holder = Holder(client.private(), directory, "immutable=1")
            _holders[key] = holder
        return holder


def _is_immutable(region: Region) -> bool:
    schema, table = parts(region.table.text)
    master = "sqlite_temp_master" if schema.lower() == "temp" else '"%s".sqlite_master' % schema.replace('"', '""')
    text = region.client.text("SELECT sql FROM %s WHERE name = ? COLLATE NOCASE" % master, table)
    return re.search(r"\bimmutable\s*=\s*1", text or "", re.IGNORECASE) is not None


# ---- views ---------------------------------------------------------------------------------------------------------


def _map(place: Place) -> Mapping:
    skipped = place.offset % mmap.ALLOCATIONGRANULARITY
    file = os.open(place.file, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    try:
        return Mapping(file, skipped + place.length, access=mmap.ACCESS_READ, offset=place.offset - skipped)
    finally:
        os.close(file)


def _refusal(region: Region, error: Exception) -> PinError | None:
    """What seqdb_pin() says where the bytes are not in the file."""
    told = str(error)
    if "has changes that are not committed" in told:
        why = "it has changes that are not committed: commit first"
    elif "keeps this from being written to its place" in told:
        why = "it was overwritten while its older state is read: wait"
    else:
        return None
    return PinError(
        "%s: region '%s' cannot be pinned: %s, or say copy=None" % (region.table.text, region.name, why)
    )


def _held(region: Region) -> memoryview | None:
    """None if a commit came between: try again."""
    client = region.client
    # The program's connection knows of its own changes, and writes to the file what is not there yet.
    place = _pin(client, region.table.text, region.name)
    try:
        region.length()
        if place.length == 0:
            return memoryview(b"")
        holder = region.holder = _holder(region, os.path.dirname(place.file))
        kept = holder.pin(region.name)
        if kept is None or not kept.is_that_of(place):
            if kept is not None:
                holder.unpin(kept.pin)
            return None
        try:
            mapping = _map(kept)
        except BaseException:
            holder.unpin(kept.pin)
            raise
        weakref.finalize(mapping, holder.unpin, kept.pin).atexit = False
    finally:
        client.rows("SELECT seqdb_unpin(?)", place.pin)
    skipped = place.offset % mmap.ALLOCATIONGRANULARITY
    return memoryview(mapping)[skipped : skipped + place.length]


def _pinned(region: Region) -> memoryview:
    for _ in range(ATTEMPTS):
        try:
            view = _held(region)
        except Exception as error:
            refusal = _refusal(region, error)
            if refusal is not None:
                raise refusal from error
            region.length_or(error)
            raise
        if view is not None:
            return view
    raise PinError(
        "%s: region '%s' cannot be pinned: it is overwritten all the time: say copy=None"
        % (region.table.text, region.name)
    )


def view(region: Region, copy: bool | None) -> memoryview:
    """False: no copy, or PinError.  None: a copy if it must be.  True: a copy."""
    if not copy:
        try:
            return _pinned(region)
        except PinError:
            if copy is False:
                raise
    return memoryview(region.read_rest(0))
