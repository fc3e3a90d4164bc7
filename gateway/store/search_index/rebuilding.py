"""Makes search files again because somebody asked, beside a running gateway or without one.

Where a process indexes already, it is asked to; otherwise the work is done here and now. Until a
file is whole again, searches look at the messages it does not know.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from gateway.core.errors import StoreFull, StoreInUse, StoreUnavailable
from gateway.core.ids import AccountId
from gateway.store import engine
from gateway.store.layout import Layout
from gateway.store.search_index.format import BROKEN
from gateway.store.search_index.indexer import Indexer
from gateway.store.search_index.places import Places


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What was done: ``messages`` indexed, or ``in_background`` because another process does it."""

    accounts: int
    messages: int
    in_background: bool


def rebuild(
    layout: Layout,
    account_ids: Sequence[AccountId] | None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> Rebuilt:
    """Make the search files of accounts again. Blocks.

    Args:
        account_ids: None means all accounts of the store.
        progress: called with messages indexed and messages in all.
        stop: asked now and then; what is left then is made later, as mail that arrives is.

    Raises:
        StoreUnavailable
    """
    try:
        with closing(engine.open_foreign(layout.index)) as index:
            accounts = _all_accounts(index) if account_ids is None else account_ids
            total = sum(_messages_of(index, account_id) for account_id in accounts)
        try:
            indexer = Indexer(layout)
        except StoreInUse:
            for account_id in accounts:
                Places(layout).request(account_id)
            return Rebuilt(len(accounts), 0, in_background=True)
        with closing(indexer):
            made = 0
            for account_id in accounts:
                if stop():
                    break  # the others keep what they have
                indexer.make_again(account_id)
                made += 1
                while not stop() and indexer.index_some(account_id, stop):
                    progress(indexer.indexed, total)
                    if not indexer.has_room():
                        raise StoreFull(
                            "the store's disk has too little room for the search index;"
                            " it is completed when there is more"
                        )
        return Rebuilt(made, indexer.indexed, in_background=False)
    except sqlite3.Error as error:
        raise engine.store_error(error) from error
    except (OSError, *BROKEN) as error:
        raise StoreUnavailable(f"the search index cannot be made: {error!r}") from error


def _all_accounts(index: sqlite3.Connection) -> list[AccountId]:
    rows = index.execute("SELECT account_id FROM accounts ORDER BY account_id").fetchall()
    return [AccountId(account_id) for (account_id,) in rows]


def _messages_of(index: sqlite3.Connection, account_id: AccountId) -> int:
    row = index.execute(
        "SELECT coalesce(sum(messages), 0) FROM mailboxes WHERE account_id = ?", (account_id,)
    ).fetchone()
    count: int = row[0]
    return count
