# SPDX-License-Identifier: MIT
"""One way to talk to the connections of sqlite3, APSW and SQLAlchemy.

A client runs statements and gives rows as plain tuples, whatever row factory the connection has.  It knows how its
module begins transactions: the sqlite3 module does so before an INSERT, not before a SELECT of a function that writes.
There a client says BEGIN as the module would.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any, Iterator, List, Tuple

from ._errors import Error

SAVEPOINT = "seqdb_python"


def text_of(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, (bytes, bytearray)) else value


class Client:
    """What is the same for all; `raw` is the connection of the module that has SQLite in it."""

    raw: Any

    def rows(self, sql: str, *values: Any) -> List[Tuple[Any, ...]]:
        raise NotImplementedError

    def change(self, sql: str, *values: Any) -> int:
        """Run one INSERT, UPDATE or DELETE: the number of rows it changed."""
        raise NotImplementedError

    def in_transaction(self) -> bool:
        raise NotImplementedError

    def begin(self) -> bool:
        """Begin a transaction where the module would before an INSERT.  True if that was done."""
        return False

    def private(self) -> "Client":
        """A connection of the same module in memory, which any thread may use, one at a time."""
        raise NotImplementedError

    def close(self) -> None:
        self.raw.close()

    def row(self, sql: str, *values: Any) -> Tuple[Any, ...] | None:
        rows = self.rows(sql, *values)
        return rows[0] if rows else None

    def text(self, sql: str, *values: Any) -> str | None:
        """One text; a text factory of the connection may have made bytes of it."""
        value = self.value(sql, *values)
        return text_of(value) if value is not None else None

    def value(self, sql: str, *values: Any) -> Any:
        row = self.row(sql, *values)
        return row[0] if row else None

    @contextlib.contextmanager
    def atomic(self) -> Iterator[None]:
        """All or nothing: a savepoint, which is a transaction of its own where none is open."""
        alone = self.begin() or not self.in_transaction()
        self.rows("SAVEPOINT " + SAVEPOINT)
        try:
            yield
            self.rows("RELEASE " + SAVEPOINT)
        except BaseException:
            # After some errors SQLite has rolled back everything already.
            with contextlib.suppress(Exception):
                if not alone:
                    self.rows("ROLLBACK TO " + SAVEPOINT)
                    self.rows("RELEASE " + SAVEPOINT)
                elif self.in_transaction():
                    self.rows("ROLLBACK")
            raise


class Sqlite3(Client):
    """sqlite3, and modules with its interface (pysqlite3)."""

    def __init__(self, raw: Any, module: Any) -> None:
        self.raw = raw
        self.module = module

    def _run(self, sql: str, values: Tuple[Any, ...]) -> Any:
        cursor = self.raw.cursor()
        cursor.row_factory = None
        try:
            cursor.execute(sql, values)
        except BaseException:
            cursor.close()
            raise
        return cursor

    def rows(self, sql: str, *values: Any) -> List[Tuple[Any, ...]]:
        with contextlib.closing(self._run(sql, values)) as cursor:
            return cursor.fetchall()

    def change(self, sql: str, *values: Any) -> int:
        with contextlib.closing(self._run(sql, values)) as cursor:
            return cursor.rowcount

    def in_transaction(self) -> bool:
        return self.raw.in_transaction

    def begin(self) -> bool:
        # autocommit, of Python 3.12, is -1 where isolation_level counts.
        legacy = getattr(self.raw, "autocommit", -1) == -1 and self.raw.isolation_level is not None
        if not legacy or self.raw.in_transaction:
            return False
        self.rows("BEGIN " + self.raw.isolation_level)
        return True

    def private(self) -> Client:
        raw = self.module.connect(":memory:", check_same_thread=False, isolation_level=None)
        return Sqlite3(raw, self.module)


class Apsw(Client):
    def __init__(self, raw: Any) -> None:
        self.raw = raw

    def rows(self, sql: str, *values: Any) -> List[Tuple[Any, ...]]:
        cursor = self.raw.cursor()
        try:
            return list(cursor.execute(sql, values))
        finally:
            cursor.close(True)

    def change(self, sql: str, *values: Any) -> int:
        self.rows(sql, *values)
        return self.raw.changes()

    def in_transaction(self) -> bool:
        return not self.raw.getautocommit()

    def private(self) -> Client:
        return Apsw(sys.modules["apsw"].Connection(":memory:"))


class SqlAlchemy(Client):
    """A Connection or a Session: what is run takes part in its transaction, which it begins and ends."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def _connection(self) -> Any:
        return self.owner if hasattr(self.owner, "exec_driver_sql") else self.owner.connection()

    @property
    def raw(self) -> Any:  # type: ignore[override]
        fairy = self._connection().connection
        return getattr(fairy, "dbapi_connection", None) or fairy.connection

    def _module_client(self) -> Client:
        return client_of(self.raw)

    def rows(self, sql: str, *values: Any) -> List[Tuple[Any, ...]]:
        result = self._connection().exec_driver_sql(sql, values)
        return [tuple(row) for row in result.fetchall()] if result.returns_rows else []

    def change(self, sql: str, *values: Any) -> int:
        self.begin()
        return self._connection().exec_driver_sql(sql, values).rowcount

    def in_transaction(self) -> bool:
        return self._module_client().in_transaction()

    def begin(self) -> bool:
        connection = self._connection()
        # SQLAlchemy 1.4 without future=True commits each INSERT by itself, savepoint or not.
        if not connection.in_transaction() and not getattr(connection, "_is_future", True):
            raise Error(
                "seqdb: this SQLAlchemy connection is in no transaction: call its begin() first, "
                "or make the engine with future=True"
            )
        if not connection.in_transaction():
            connection.begin()
        return self._module_client().begin()

    def private(self) -> Client:
        return self._module_client().private()

    def close(self) -> None:
        self.owner.close()


def _class_named(connection: Any, name: str, package: str) -> type | None:
    for cls in type(connection).__mro__:
        if cls.__name__ == name and cls.__module__.partition(".")[0] == package:
            return cls
    return None


def client_of(connection: Any) -> Client:
    """The client for a connection; TypeError for what is none."""
    if _class_named(connection, "Connection", "apsw"):
        return Apsw(connection)
    if _class_named(connection, "Connection", "sqlalchemy") or _class_named(connection, "Session", "sqlalchemy"):
        return SqlAlchemy(connection)
    for cls in type(connection).__mro__:
        module = sys.modules.get(cls.__module__)
        if cls.__name__ == "Connection" and hasattr(module, "connect") and hasattr(cls, "in_transaction"):
            return Sqlite3(connection, module)
    if _class_named(connection, "Engine", "sqlalchemy"):
        raise TypeError("seqdb: an Engine of SQLAlchemy has many connections: give one, of engine.connect()")
    raise TypeError(
        "seqdb: a connection of sqlite3, APSW or SQLAlchemy is needed, not %s.%s"
        % (type(connection).__module__, type(connection).__qualname__)
    )
