"""A read of one moment tells what went wrong, not that its transaction is gone."""

from __future__ import annotations

import sqlite3

import pytest

from gateway.store.selection import snapshot


def test_an_error_that_ended_the_transaction_is_the_one_told() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)

    def read() -> None:
        with snapshot(connection):
            connection.execute("ROLLBACK")  # as SQLite does by itself after an I/O error
            raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
        read()
    with snapshot(connection):
        during = connection.in_transaction
    assert (during, connection.in_transaction) == (True, False)
    connection.close()
