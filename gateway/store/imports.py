"""Mailboxes that move in: the port ImportStore.

Owns the rows of ``imports`` and ``kept_uids``, and the question which UIDs imported messages get.
Message, key and POP3 name are one transaction, so whatever is repeated or interrupted comes once.
An administrator's import is not refused for quota.

Taking UIDs over: clients that knew the old server go on with what they have only if UIDVALIDITY and
every UID mean the same as there (RFC 3501 section 2.3.1.1). ``kept_uids`` says of a mailbox that
all it ever held came from one folder under the UIDs it had there, up to ``uid_next``; who numbers
anything else, such as a delivery, moves the mailbox's UIDNEXT away from that and so ends it. If
the source then brings a UID that cannot be kept, the mailbox gets a UIDVALIDITY of its own, because
a client might know another message by the UID that was given here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.core.ids import AccountId, MailboxId, Uid
from gateway.core.transfer import Imported, ImportedMessage, ImportSource
from gateway.store import flags as flagging
from gateway.store import history, names
from gateway.store.accounts import Accounts
from gateway.store.blobs import StoredOctets
from gateway.store.bodies import Payload
from gateway.store.committer import Committer
from gateway.store.deliveries import BLOB_COLUMNS, MESSAGE_COLUMNS, blob_row, count_records
from gateway.store.flags import SEEN
from gateway.store.mailboxes import BY_NAME, make_mailbox
from gateway.store.payloads import Payloads
from gateway.store.readers import Pool
from gateway.store.transaction import MAX_UID_VALIDITY, Row, Transaction

# Values near the end are not taken over: UIDs and UIDVALIDITY only ascend from there.
ROOM = 2**24
MAX_KEPT_UID = 2**32 - ROOM
MAX_KEPT_UID_VALIDITY = MAX_UID_VALIDITY - ROOM
# A client that keeps its messages keeps the MODSEQ of its last visit too (RFC 7162 section 3.1).
# Ours must be above those of the old server, or changes made here look old to it.
FIRST_KEPT_MODSEQ = 2**40

_UIDL = re.compile(r"[!-~]{1,70}")  # RFC 1939 section 7
_OF_SOURCE = "account_id = ? AND origin = ? AND folder = ?"
_Bringing = tuple[ImportedMessage, Payload]


@dataclass(slots=True)
class _Place:
    """The mailbox while a batch goes in."""

    mailbox_id: MailboxId
    uid_validity: int
    uid_next: int
    modseq: int
    recent_from: int
    is_empty: bool


class Imports:
    """The port ImportStore."""

    def __init__(
        self,
        accounts: Accounts,
        committer: Committer,
        readers: Pool[StoredOctets],
        payloads: Payloads,
    ) -> None:
        self._accounts = accounts
        self._committer = committer
        self._readers = readers
        self._payloads = payloads

    async def import_messages(
        self,
        account_id: AccountId,
        name: str,
        source: ImportSource,
        messages: Sequence[ImportedMessage],
        *,
        uid_validity: int = 0,
        uid_next: int = 0,
    ) -> Imported:
        name = names.check_new(name)
        payloads = await self._payloads.make_all(message.body for message in messages)
        return await self._committer.write(
            lambda tx: self._add(
                tx,
                account_id,
                name,
                source,
                list(zip(messages, payloads, strict=True)),
                uid_validity,
                uid_next,
            ),
            payloads=payloads,
        )

    async def imported_keys(self, account_id: AccountId, source: ImportSource) -> frozenset[str]:
        def read(stored: StoredOctets) -> frozenset[str]:
            return frozenset(
                key
                for (key,) in stored.connection.execute(
                    f"SELECT message_key FROM imports WHERE {_OF_SOURCE}",  # noqa: S608 - own names only
                    (account_id, source.origin, source.folder),
                )
            )

        return await self._readers.run(read)

    # -- the committer's thread

    def _add(
        self,
        tx: Transaction,
        account_id: AccountId,
        name: str,
        source: ImportSource,
        brought: Sequence[_Bringing],
        uid_validity: int,
        uid_next: int,
    ) -> Imported:
        self._accounts.inbox_of(tx, account_id)
        place = _place(tx, account_id, name)
        new = _leave_out_known(tx, account_id, source, brought)
        numbers = [message.uid for message, _ in new]
        keeps = _takes_over(tx, account_id, place, source, uid_validity, numbers, uid_next)
        # A mailbox that keeps UIDs gives those to come none that were in use at the source.
        after = max(place.uid_next, uid_next, max(numbers, default=0) + 1) if keeps else 0
        uids = _numbered(numbers, after if keeps else place.uid_next, keeps)
        asked = any(numbers)
        if asked and not keeps and place.uid_validity == uid_validity:
            place.uid_validity = tx.new_uid_validity()
        _insert(tx, account_id, place, new, uids, max(after, place.uid_next))
        tx.insert(
            "imports (account_id, origin, folder, message_key)",
            [(account_id, source.origin, source.folder, message.key) for message, _ in new],
        )
        if keeps or new:
            _remember(tx, place, source, still_theirs=keeps and all(numbers))
        given = {message.key: Uid(uid) for (message, _), uid in zip(new, uids, strict=True)}
        return Imported(
            place.mailbox_id,
            place.uid_validity,
            tuple(given.pop(message.key, None) for message, _ in brought),
            keeps or not asked,
        )


def _place(tx: Transaction, account_id: AccountId, name: str) -> _Place:
    row: Any = tx.fetch_one(BY_NAME, (account_id, name))
    if row is None:
        make_mailbox(tx, account_id, name)
        row = tx.fetch_one(BY_NAME, (account_id, name))
    return _Place(MailboxId(row[0]), row[3], row[4], row[5], row[7], not row[8])


def _leave_out_known(
    tx: Transaction, account_id: AccountId, source: ImportSource, brought: Sequence[_Bringing]
) -> list[_Bringing]:
    """What is new; the octets of the rest are dead, and large files of it go."""
    new: list[_Bringing] = []
    seen: set[str] = set()
    for message, payload in brought:
        is_known = message.key in seen or tx.fetch_one(
            f"SELECT 1 FROM imports WHERE {_OF_SOURCE} AND message_key = ?",  # noqa: S608 - own names only
            (account_id, source.origin, source.folder, message.key),
        )
        if not is_known:
            seen.add(message.key)
            new.append((message, payload))
        elif payload.file_name:
            tx.dead_files.append(payload.file_name)
    return new


def _takes_over(
    tx: Transaction,
    account_id: AccountId,
    place: _Place,
    source: ImportSource,
    uid_validity: int,
    numbers: Sequence[int],
    uid_next: int,
) -> bool:
    """Whether the mailbox keeps the source's UIDs; takes its UIDVALIDITY if it had another."""
    known = [uid for uid in numbers if uid]
    first = min(known, default=max(uid_next, place.uid_next))
    if (
        not 0 < uid_validity <= MAX_KEPT_UID_VALIDITY
        or list(numbers[: len(known)]) != sorted(set(known))
        or first < place.uid_next
        or max(uid_next, *known, 0) > MAX_KEPT_UID
    ):
        return False
    kept = tx.fetch_one(
        "SELECT origin, folder, uid_next FROM kept_uids WHERE mailbox_id = ?", (place.mailbox_id,)
    )
    if kept == (source.origin, source.folder, place.uid_next):
        return place.uid_validity == uid_validity
    # Names can be exchanged by RENAME, so no two mailboxes of an account share a UIDVALIDITY.
    if not place.is_empty or tx.fetch_one(
        "SELECT 1 FROM mailboxes WHERE account_id = ? AND uid_validity = ? AND mailbox_id <> ?",
        (account_id, uid_validity, place.mailbox_id),
    ):
        return False
    place.uid_validity = uid_validity
    place.modseq = max(place.modseq, FIRST_KEPT_MODSEQ)
    # None that is given later repeats it, in this mailbox's name or another's.
    tx.execute(
        "UPDATE counters SET value = ? WHERE name = 'uid_validity' AND value < ?",
        (uid_validity, uid_validity),
    )
    return True


def _numbered(numbers: Sequence[int], following: int, keeps: bool) -> list[int]:
    """The UIDs that messages get: their own, or one after the other from ``following``."""
    uids: list[int] = []
    for uid in numbers:
        if keeps and uid:
            uids.append(uid)
        else:
            uids.append(following)
            following += 1
    return uids


def _insert(
    tx: Transaction,
    account_id: AccountId,
    place: _Place,
    new: Sequence[_Bringing],
    uids: Sequence[int],
    uid_next: int,
) -> None:
    modseq = place.modseq + 1
    blobs: list[Row] = []
    rows: list[Row] = []
    uidls: list[Row] = []
    unseen = octets = 0
    for (message, payload), uid in zip(new, uids, strict=True):
        mask, keywords = flagging.split(message.flags)
        # Those over the mailbox's limit are left out, as when copying.
        spelled = flagging.register(tx, place.mailbox_id, keywords, strict=False)
        blob_id = tx.next_id("blob")
        size = payload.size_octets
        blobs.append(blob_row(blob_id, 1, payload))
        rows.append(
            (place.mailbox_id, uid, modseq, modseq, mask, flagging.text_of(spelled),
             message.internal_date, size, blob_id)
        )  # fmt: skip
        if _UIDL.fullmatch(message.uidl):
            uidls.append((place.mailbox_id, uid, message.uidl))
        unseen += not mask & SEEN
        octets += size
    tx.insert(BLOB_COLUMNS, blobs)
    count_records(tx, [payload for _, payload in new])
    tx.insert(MESSAGE_COLUMNS, rows)
    tx.insert("uidls (mailbox_id, uid, uidl)", uidls)
    before, place.uid_next = place.uid_next, max(uid_next, uids[-1] + 1 if uids else 0)
    # What was somewhere else before is not \Recent, unless something here is.
    recent_from = place.uid_next if place.recent_from >= before else place.recent_from
    place.modseq = modseq if new else place.modseq
    skipped = tuple(history.between(uids, uids, place.uid_next, before))
    history.remember(tx, place.mailbox_id, place.modseq, skipped)
    tx.execute(
        "UPDATE mailboxes SET uid_validity = ?, uid_next = ?, highest_modseq = ?, recent_from = ?,"
        " old_messages = CASE WHEN uid_next = recent_from THEN messages + ? ELSE old_messages END,"
        " messages = messages + ?, unseen = unseen + ?, size_octets = size_octets + ?"
        " WHERE mailbox_id = ?",
        (place.uid_validity, place.uid_next, place.modseq, recent_from, len(new), len(new), unseen,
         octets, place.mailbox_id),
    )  # fmt: skip
    if new:
        tx.touch(account_id, place.mailbox_id, modseq)


def _remember(tx: Transaction, place: _Place, source: ImportSource, *, still_theirs: bool) -> None:
    """A message that was numbered here could be another one there, so it ends the keeping."""
    tx.execute("DELETE FROM kept_uids WHERE mailbox_id = ?", (place.mailbox_id,))
    if still_theirs:
        tx.insert(
            "kept_uids (mailbox_id, origin, folder, uid_next)",
            [(place.mailbox_id, source.origin, source.folder, place.uid_next)],
        )
