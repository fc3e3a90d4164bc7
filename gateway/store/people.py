"""What the store keeps of people beside their mail, put together for ``store``.

Owns the port Standings: how much people keep and when they were last here, read for many of them at
once from the tables of others (``accounts``, ``kept_passwords``, ``app_passwords``). Never writes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from gateway.core.ids import AccountId
from gateway.core.ports.clock import WallClock
from gateway.core.ports.standings import UNKNOWN, Standing
from gateway.core.quota import Quota, Usage
from gateway.store.app_passwords import AppPasswordTable, expire_app_passwords
from gateway.store.blobs import StoredOctets
from gateway.store.committer import Committer
from gateway.store.kept_passwords import (
    KEEP_PASSWORDS_S,
    KeptPasswordTable,
    RefusalTable,
    expire_kept_passwords,
    expire_refusals,
)
from gateway.store.machinery import Options
from gateway.store.people_notes import PeopleNotesTable
from gateway.store.readers import Pool
from gateway.store.transaction import Transaction, in_pieces

_USAGE = (
    "SELECT account_id, size_octets, messages, quota_octets, quota_messages FROM accounts"
    " WHERE account_id IN"
)
_LOGINS = (
    "SELECT account_id, confirmed_at FROM kept_passwords WHERE account_id IN",
    "SELECT account_id, used_at FROM app_passwords WHERE account_id IN",
)

Step = Callable[[Transaction], bool]


class PeopleTables:
    """The ports AppPasswordStore, KeptPasswords, Refusals, Standings and PeopleNotes."""

    def __init__(
        self, committer: Committer, readers: Pool[StoredOctets], wall_clock: WallClock
    ) -> None:
        self.app_passwords = AppPasswordTable(committer, readers, wall_clock)
        self.kept_passwords = KeptPasswordTable(committer, readers)
        self.refusals = RefusalTable(committer, readers)
        self.standings = StandingView(readers)
        self.notes = PeopleNotesTable(committer, readers)


class StandingView:
    """The port Standings. The reactor's thread."""

    def __init__(self, readers: Pool[StoredOctets]) -> None:
        self._readers = readers

    async def standings(self, account_ids: Collection[AccountId]) -> Mapping[AccountId, Standing]:
        def read(stored: StoredOctets) -> dict[AccountId, Standing]:
            usages: dict[AccountId, Usage] = {}
            logins: dict[AccountId, int] = {}
            for piece, marks in in_pieces(list(account_ids)):
                for row in stored.connection.execute(f"{_USAGE} ({marks})", piece):
                    usages[AccountId(row[0])] = Usage(row[1], row[2], Quota(row[3], row[4]))
                for statement in _LOGINS:
                    for name, at in stored.connection.execute(f"{statement} ({marks})", piece):
                        logins[AccountId(name)] = max(at, logins.get(AccountId(name), 0))
            known = {**dict.fromkeys(usages, UNKNOWN), **dict.fromkeys(logins, UNKNOWN)}
            return {each: Standing(usages.get(each), logins.get(each, 0)) for each in known}

        return await self._readers.run(read)


def people_housekeeping(options: Options) -> tuple[Step, ...]:
    """Steps of housekeeping."""
    keep_s = options.get("keep_passwords_s", KEEP_PASSWORDS_S)
    return expire_app_passwords, expire_kept_passwords(keep_s), expire_refusals
