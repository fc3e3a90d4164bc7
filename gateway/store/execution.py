"""Running a batch's operations inside a transaction that has begun.

Each operation has a savepoint, so one that fails fails alone; operations of one group (deliveries)
first try to run together with few statements, and alone only if that fails. Never begins, commits
or rolls back the whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.store import engine
from gateway.store.operations import Group, Operation
from gateway.store.transaction import Transaction

_log = Logger()


def execute(tx: Transaction, operations: Sequence[Operation[Any]]) -> None:
    """Run all; results and errors are with the operations.

    Raises:
        sqlite3.Error: the transaction as a whole is lost.
    """
    grouped: dict[Group, list[Operation[Any]]] = {}
    for operation in operations:
        if operation.group is not None:
            grouped.setdefault(operation.group, []).append(operation)
    for group, members in grouped.items():
        _run_group(tx, group, members)
    for operation in operations:
        if operation.group is None:
            _run_alone(tx, operation, operation.run)


def _run_group(tx: Transaction, group: Group, members: Sequence[Operation[Any]]) -> None:
    tx.set_savepoint()
    try:
        results = group.run_together(tx, [member.item for member in members], False)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and engine.is_fatal(error):
            raise
        tx.undo()
        for member in members:
            _run_alone(tx, member, partial(_carefully, group, member.item))
    else:
        tx.keep()
        for member, result in zip(members, results, strict=True):
            if isinstance(result, GatewayError):
                member.error = result
            else:
                member.result = result


def _run_alone(
    tx: Transaction, operation: Operation[Any], run: Callable[[Transaction], Any] | None
) -> None:
    assert run is not None
    tx.set_savepoint()
    try:
        operation.result = run(tx)
    except Exception as error:
        if isinstance(error, sqlite3.Error):
            if engine.is_fatal(error):
                raise
            _log.failure("an operation of the store failed")
            operation.error = engine.store_error(error)
        else:
            operation.error = error
        tx.undo()
    else:
        tx.keep()


def _carefully(group: Group, item: object, tx: Transaction) -> Any:
    return group.run_together(tx, [item], True)[0]
