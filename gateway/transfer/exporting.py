"""Copies an account's mailboxes out of the store, into a target of files.

Owns the order of work and the reading; how messages lie in files is the target's business. What a
target has already is not written again, so an interrupted export goes on where it was.

Limits: ROWS_AT_ONCE rows and OCTETS_AT_ONCE of small messages in memory; larger ones are streamed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.core.errors import GatewayError
from gateway.core.ids import AccountId, MailboxId
from gateway.core.mailboxes import Mailbox
from gateway.core.messages import Flags, MessageRow
from gateway.core.ports.progress import Progress
from gateway.core.ports.store import MailboxStore
from gateway.core.uidset import from_sorted
from gateway.transfer.values import PIECE_OCTETS, Call, FolderResult, Report, Trouble

ROWS_AT_ONCE = 500
OCTETS_AT_ONCE = 1024 * 1024
INBOX = "INBOX"


class TargetFailed(GatewayError):
    """The target as a whole cannot be written; the text says why and what to do."""

    temporary = False


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """One message on its way out; ``uidl`` is what POP3 calls it, empty outside INBOX."""

    uid: int
    flags: Flags
    internal_date: int
    uidl: str


class TargetFolder(Protocol):
    """A mailbox being written."""

    place: str
    """Where it is, for the table."""

    def present(self) -> Collection[int]:
        """UIDs that an earlier export wrote."""
        ...

    def add(self, message: OutgoingMessage, chunks: Iterable[bytes]) -> None:
        """Write one message; UIDs ascend. Raises: OSError, and what ``chunks`` raises."""
        ...

    def finish(self) -> None:
        """All that was added is durable, and known to who reads the target. Raises: OSError."""
        ...

    def left_out(self) -> str:
        """What this form cannot hold of the messages, if they had such; empty otherwise."""
        ...

    def close(self) -> None: ...


class Target(Protocol):
    """Where an account goes."""

    def begin(self, account_id: AccountId) -> None:
        """Raises: TargetFailed (it holds something else, or cannot be written)."""
        ...

    def open(self, mailbox: Mailbox) -> TargetFolder:
        """Raises: TargetFailed, OSError."""
        ...

    def finish(self, subscribed: Sequence[str]) -> None:
        """Raises: OSError."""
        ...


class Exporter:
    """Exports one account; methods are for the work's thread."""

    def __init__(
        self,
        call: Call,
        store: MailboxStore,
        account_id: AccountId,
        progress: Progress,
        *,
        dry_run: bool = False,
    ) -> None:
        self._call = call
        self._store = store
        self._account_id = account_id
        self._progress = progress
        self._dry_run = dry_run

    def run(self, target: Target, only: str = "") -> Report:
        """Export all mailboxes or ``only`` one; only programming errors are raised."""
        report = Report()
        try:
            listed = self._call(self._store.list_mailboxes(self._account_id))
            chosen = [one for one in listed if one.exists and only in ("", one.name)]
            if not chosen:
                raise TargetFailed(f"there is no mailbox {only or 'at all'}")
            if not self._dry_run:
                target.begin(self._account_id)
            for one in chosen:
                mailbox = self._call(self._store.find_mailbox(self._account_id, one.name))
                self._export(mailbox, target, report)
            if not self._dry_run:
                target.finish([one.name for one in chosen if one.subscribed])
        except KeyboardInterrupt:
            report.stopped = "interrupted; run it again, and it goes on where it was"
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            report.stopped = f"{where}{error.strerror or error}"
        except GatewayError as error:
            report.stopped = str(error)
        return report

    def _export(self, mailbox: Mailbox, target: Target, report: Report) -> None:
        result = FolderResult("", mailbox.name)
        report.folders.append(result)
        selection = self._call(
            self._store.select(self._account_id, mailbox.name, claim_recent=False)
        )
        uids = list(selection.uids)
        result.found = len(uids)
        if self._dry_run:
            result.copied = len(uids)
            return
        uidls = self._uidls(mailbox, uids) if mailbox.name == INBOX else {}
        folder = target.open(mailbox)
        result.folder = folder.place
        try:
            present = folder.present()
            missing = [uid for uid in uids if uid not in present]
            result.already = len(uids) - len(missing)
            done = 0
            self._progress(mailbox.name, done, len(missing), "messages")
            for row, chunks in self._messages(mailbox.mailbox_id, missing):
                uidl = uidls.get(row.uid, "")
                message = OutgoingMessage(row.uid, row.flags, row.internal_date, uidl)
                try:
                    folder.add(message, chunks)
                    result.copied += 1
                except GatewayError as error:
                    result.failed += 1
                    report.add_trouble(Trouble(f"{mailbox.name}: UID {row.uid}", str(error)))
                done += 1
                self._progress(mailbox.name, done, len(missing), "messages")
            folder.finish()
            if left_out := folder.left_out():
                report.add_trouble(Trouble(mailbox.name, left_out, share=0))
        finally:
            folder.close()

    def _uidls(self, mailbox: Mailbox, uids: Sequence[int]) -> dict[int, str]:
        """What POP3 calls every message: what came with it, or what ours makes of the UID."""
        brought = self._call(self._store.uidls(mailbox.mailbox_id))
        named = {uid: f"{mailbox.uid_validity}.{uid}" for uid in uids}
        return named | {int(uid): uidl for uid, uidl in brought.items()}

    def _messages(
        self, mailbox_id: MailboxId, uids: Sequence[int]
    ) -> Iterator[tuple[MessageRow, Iterator[bytes]]]:
        for start in range(0, len(uids), ROWS_AT_ONCE):
            ranges = from_sorted(uids[start : start + ROWS_AT_ONCE])
            rows = self._call(self._store.rows(mailbox_id, ranges))
            for portion in _portions(rows):
                yield from self._read(portion)

    def _read(self, portion: list[MessageRow]) -> Iterator[tuple[MessageRow, Iterator[bytes]]]:
        if len(portion) == 1:
            yield portion[0], self._pieces(portion[0])
            return
        spans = [(row.blob_id, 0, row.size_octets) for row in portion]
        for row, octets in zip(portion, self._call(self._store.read_many(spans)), strict=True):
            yield row, _told(octets)

    def _pieces(self, row: MessageRow) -> Iterator[bytes]:
        for offset in range(0, row.size_octets, PIECE_OCTETS):
            yield self._call(self._store.read(row.blob_id, offset, PIECE_OCTETS))


def _told(octets: bytes | GatewayError) -> Iterator[bytes]:
    if isinstance(octets, GatewayError):
        raise octets
    yield octets


def _portions(rows: Sequence[MessageRow]) -> Iterator[list[MessageRow]]:
    """Small messages together, each large one alone."""
    portion: list[MessageRow] = []
    octets = 0
    for row in rows:
        if portion and octets + row.size_octets > OCTETS_AT_ONCE:
            yield portion
            portion, octets = [], 0
        portion.append(row)
        octets += row.size_octets
    if portion:
        yield portion
