# SPDX-License-Identifier: MIT
"""What this package raises itself.  What SQLite says arrives as the exception of the connection's own module."""

from __future__ import annotations


class Error(Exception):
    """The base of all of them."""

    def __str__(self) -> str:
        # KeyError shows the repr of its message, OSError looks for an errno.
        return str(self.args[0]) if self.args else ""


class LoadError(Error, ImportError):
    """The extension cannot be loaded, or is not loaded."""


class RegionNotFoundError(Error, FileNotFoundError, KeyError):
    """There is no such region, or the one that was opened is gone."""


class RegionExistsError(Error, FileExistsError):
    """There is a region of that name."""


class PinError(Error, BufferError):
    """The bytes of a region cannot be pinned now: they are not committed, or not in their place yet."""


for _kind in (Error, LoadError, RegionNotFoundError, RegionExistsError, PinError):
    _kind.__module__ = "seqdb"  # as it is written
