# SPDX-License-Identifier: MIT
"""Finds seqdb.so and loads it into connections.

The first that exists: the one inside this package, the one that the environment variable SEQDB_LIBRARY names, the one
that `meson install` put into a system folder.
"""

from __future__ import annotations

import ctypes
import glob
import os
import platform
import sys
from typing import Any, Dict, Tuple, TypeVar

from ._client import Client, client_of
from ._errors import LoadError

VERSION = "0.1.0"
VARIABLE = "SEQDB_LIBRARY"
SQLITE_MIN = (3, 38, 0)
ENTRY = "sqlite3_seqdb_init"  # so the file may have any name
FILE = "seqdb.dylib" if sys.platform == "darwin" else "seqdb.so"
SYSTEM = ("/usr/local/lib/*/sqlite3", "/usr/local/lib/sqlite3", "/usr/lib/*/sqlite3", "/usr/lib*/sqlite3")
MACHINES = {3: "i386", 22: "s390x", 40: "arm", 62: "x86_64", 183: "aarch64", 243: "riscv64"}

C = TypeVar("C")

# A library that is loaded keeps a pointer to its SQLite: two SQLites in one process need two files of it.  {file: it}
_sqlite_of: Dict[Tuple[int, int], str] = {}
_last_loaded: str | None = None


def library() -> str:
    """The path of the extension; LoadError if there is none."""
    inside = os.path.join(os.path.dirname(os.path.abspath(__file__)), FILE)
    if os.path.exists(inside):
        return inside
    named = os.environ.get(VARIABLE)
    if named:
        # As SQLite does, with or without the suffix.
        for path in (named, named + os.path.splitext(FILE)[1]):
            if os.path.isfile(path):
                return os.path.abspath(path)
        told = "seqdb: %s is %s, and there is no such file: set it to the path of %s"
        raise LoadError(told % (VARIABLE, named, FILE))
    for pattern in SYSTEM:
        for path in sorted(glob.glob(os.path.join(pattern, FILE))):
            return path
    raise LoadError(
        "seqdb: there is no %s: not in this package, %s is not set, none is in a folder of the system: "
        "install a wheel that carries it, or build it and set %s to its path" % (FILE, VARIABLE, VARIABLE)
    )


def load(connection: C, library: str | os.PathLike[str] | None = None) -> C:
    """Load the extension into a connection of sqlite3, APSW or SQLAlchemy, and give the connection back.

    An Engine of SQLAlchemy loads it from then on into each connection that it opens.  `library` is the path of another
    file than library() finds.  Loading of extensions is off afterwards.
    """
    for cls in type(connection).__mro__:
        if cls.__name__ == "Engine" and cls.__module__.startswith("sqlalchemy."):
            event = sys.modules["sqlalchemy"].event
            event.listen(connection, "connect", lambda raw, record: load(raw, library))
            return connection
    client = client_of(connection)
    load_client(client_of(client.raw), library)
    return connection


def load_client(client: Client, library: str | os.PathLike[str] | None = None) -> None:
    sqlite_version = client.text("SELECT sqlite_version()") or ""
    if tuple(map(int, sqlite_version.split("."))) < SQLITE_MIN:
        raise LoadError(
            "seqdb needs SQLite 3.38 or newer, and this connection has %s: take a newer Python or APSW" % sqlite_version
        )
    if _is_loaded(client):
        return
    switch = _switch(client.raw)
    path = os.fspath(library) if library is not None else _find()
    file, sqlite = _file_of(path), _sqlite_named(client)
    if _sqlite_of.get(file, sqlite) != sqlite:
        raise LoadError(
            "seqdb: %s serves another SQLite in this process already, and this connection has SQLite %s of its own: "
            "copy the file, and give the copy's path to seqdb.load(connection, library)" % (path, sqlite_version)
        )
    switch(True)
    try:
        client.rows("SELECT load_extension(?, ?)", path, ENTRY)
    except Exception as error:
        raise LoadError(_why_not(path, error)) from error
    finally:
        switch(False)
    if not _is_loaded(client):
        raise LoadError("seqdb: %s is another library, without seqdb_version()" % path)
    global _last_loaded
    _last_loaded = path
    _sqlite_of[file] = sqlite


def load_private(client: Client) -> None:
    """Into a connection of this package's own: the file that was loaded last, for two copies count as two processes."""
    load_client(client, _last_loaded)


def _find() -> str:
    return library()


def _is_loaded(client: Client) -> bool:
    """Is it there, in this version?"""
    try:
        version = client.text("SELECT seqdb_version()")
    except Exception as error:
        if "no such function" in str(error):
            return False
        raise
    if version != VERSION:
        raise LoadError(
            "seqdb: this connection has version %s of the extension loaded, and this package is %s: load one of them, "
            "with seqdb.load()" % (version, VERSION)
        )
    return True


def _switch(raw: Any) -> Any:
    switch = getattr(raw, "enable_load_extension", None) or getattr(raw, "enableloadextension", None)
    if switch is None:
        raise LoadError(
            "seqdb: the %s module of this Python (%s) was built without loading of extensions, as those of pyenv and "
            "Apple are: use the Python of your distribution or of Homebrew, or connect with APSW, or build this one "
            "with PYTHON_CONFIGURE_OPTS=--enable-loadable-sqlite-extensions"
            % (type(raw).__module__.partition(".")[0], sys.executable)
        )
    return switch


def _file_of(path: str) -> Tuple[int, int]:
    try:
        status = os.stat(path)
    except OSError:
        return (-1, -1)  # loading says it
    return (status.st_dev, status.st_ino)


def _sqlite_named(client: Client) -> str:
    return client.text("SELECT group_concat(compile_options) || sqlite_source_id() FROM pragma_compile_options") or ""


def _made_for(path: str) -> str | None:
    """By the head of the file; None for what is no library."""
    with open(path, "rb") as file:
        head = file.read(20)
    if head[:4] == b"\x7fELF" and len(head) == 20:
        number = int.from_bytes(head[18:20], "big" if head[5] == 2 else "little")
        return "%s, %d bits" % (MACHINES.get(number, "machine %d" % number), 64 if head[4] == 2 else 32)
    return "macOS" if head[:4] in (b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe") else None


def _why_not(path: str, error: Exception) -> str:
    try:
        made_for = _made_for(path)
    except OSError as missing:
        return "seqdb: %s cannot be read: %s: set %s to the path of %s" % (path, missing.strerror, VARIABLE, FILE)
    if made_for is None:
        return "seqdb: %s is no library: build seqdb, and set %s to the path of its %s" % (path, VARIABLE, FILE)
    try:
        ctypes.CDLL(path)  # SQLite tries the path with a further .so, and tells of that
        why = str(error)
    except OSError as told:
        why = str(told)
    why = why[len(path) + 2 :] if why.startswith(path + ": ") else why
    here = "%s %s" % (platform.system(), platform.machine())
    return "seqdb: %s, made for %s, cannot be loaded here (%s): %s: install the wheel of this platform, or build it" % (
        path,
        made_for,
        here,
        why,
    )
