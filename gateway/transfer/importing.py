"""Copies everything a source has into one account.

Owns the order of work, batches, and what is told at the end. A batch is one transaction of the
store, so whatever ends the work (Ctrl-C, kill, a full disk, an old server that goes away) leaves
whole messages with their keys, and the next run goes on behind them. Never deletes anything.

Limits: BATCH_MESSAGES and BATCH_OCTETS in memory; what is larger streams to the store's disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from gateway.core.errors import GatewayError, MailboxLimit, MailboxNameRefused, NoSuchMailbox
from gateway.core.ids import AccountId
from gateway.core.messages import Flags
from gateway.core.ports.body import IncomingBody
from gateway.core.ports.progress import Progress
from gateway.core.ports.store import ImportStore, Intake, MailboxStore
from gateway.core.transfer import Imported, ImportedMessage, ImportSource
from gateway.core.uidset import from_sorted
from gateway.transfer.values import (
    Call,
    FolderResult,
    Known,
    Message,
    MessageFailed,
    Opened,
    Report,
    Source,
    SourceFolder,
    Trouble,
)

BATCH_MESSAGES = 128
BATCH_OCTETS = 4 * 1024 * 1024
SMALL_OCTETS = 512 * 1024
FLAG_ROWS = 1_000

Octets = bytes | IncomingBody
Read = tuple[Message, Octets]


class TargetStore(Intake, MailboxStore, Protocol):
    """The parts of the store that an import needs, besides the one of its own."""


class Importer:
    """Imports into one account; methods are for the work's thread.

    Args:
        refresh_flags: give messages that were copied before the flags they have there now.
    """

    def __init__(
        self,
        call: Call,
        store: TargetStore,
        imports: ImportStore,
        account_id: AccountId,
        progress: Progress,
        *,
        dry_run: bool = False,
        refresh_flags: bool = False,
    ) -> None:
        self._call = call
        self._store = store
        self._imports = imports
        self._account_id = account_id
        self._progress = progress
        self._dry_run = dry_run
        self._refresh_flags = refresh_flags

    def run(self, source: Source) -> Report:
        """Copy all folders; only programming errors are raised."""
        report = Report()
        try:
            for folder in source.folders():
                if isinstance(folder, Trouble):
                    report.add_trouble(folder)
                else:
                    self._copy_folder(source, folder, report)
        except KeyboardInterrupt:
            report.stopped = "interrupted; run it again, and it goes on where it was"
        except (GatewayError, OSError) as error:
            report.stopped = str(error)
        return report

    def _copy_folder(self, source: Source, folder: SourceFolder, report: Report) -> None:
        result = FolderResult(folder.folder, folder.name)
        report.folders.append(result)
        names = ImportSource(source.origin, folder.folder)
        try:
            known = self._call(self._imports.imported_keys(self._account_id, names))
            opened = source.open(folder, known, bodies=not self._dry_run, flags=self._refresh_flags)
            copy = _FolderCopy(self, folder, names, opened, result, report)
            copy.run()
            if folder.subscribed and not self._dry_run:
                self._call(self._store.set_subscribed(self._account_id, folder.name, True))
        except (MessageFailed, MailboxNameRefused, MailboxLimit, NoSuchMailbox) as error:
            report.add_trouble(Trouble(folder.folder, str(error)))

    # -- for _FolderCopy

    @property
    def dry_run(self) -> bool:
        return self._dry_run

    @property
    def refreshes_flags(self) -> bool:
        return self._refresh_flags

    def show(self, folder: SourceFolder, done: int, opened: Opened) -> None:
        self._progress(folder.name, min(done, opened.total), opened.total, opened.unit)

    def octets_of(self, message: Message) -> Octets:
        """The message's octets, or where they are in the store's hands if they are many.

        Raises: MessageFailed, SourceFailed, OSError (of the source).
        """
        held = bytearray()
        body: IncomingBody | None = None
        try:
            for chunk in message.chunks:
                held += chunk
                if len(held) >= SMALL_OCTETS:
                    body = self._call(self._filled(bytes(held), body))
                    held.clear()
            return bytes(held) if body is None else self._call(self._filled(bytes(held), body))
        except BaseException:
            if body is not None:
                body.discard()
            raise

    async def _filled(self, octets: bytes, body: IncomingBody | None = None) -> IncomingBody:
        body = self._store.open_body() if body is None else body
        body.write(octets)
        return body

    def add(
        self,
        folder: SourceFolder,
        names: ImportSource,
        batch: Sequence[Read],
        uid_validity: int,
        uid_next: int,
    ) -> Imported:
        async def add() -> Imported:
            bodies = [
                await self._filled(octets) if isinstance(octets, bytes) else octets
                for _, octets in batch
            ]
            try:
                return await self._imports.import_messages(
                    self._account_id,
                    folder.name,
                    names,
                    [
                        ImportedMessage(
                            message.key,
                            body,
                            message.flags,
                            message.internal_date,
                            message.uid,
                            message.uidl,
                        )
                        for (message, _), body in zip(batch, bodies, strict=True)
                    ],
                    uid_validity=uid_validity,
                    uid_next=uid_next,
                )
            finally:
                for body in bodies:
                    body.discard()  # those that the store did not take

        return self._call(add())

    def set_flags(self, folder: SourceFolder, uid_validity: int, theirs: dict[int, Flags]) -> int:
        """Flags by UID, where UIDs mean the same as there; how many messages changed."""
        mailbox = self._call(self._store.find_mailbox(self._account_id, folder.name))
        if mailbox.uid_validity != uid_validity:
            return 0
        wanted: dict[Flags, list[int]] = {}
        uids = from_sorted(sorted(theirs))
        for row in self._call(self._store.rows(mailbox.mailbox_id, uids)):
            flags = theirs[row.uid]
            if {flag.casefold() for flag in flags} != {flag.casefold() for flag in row.flags}:
                wanted.setdefault(flags, []).append(row.uid)
        for flags, changed in wanted.items():
            ranges = from_sorted(changed)
            if not self._dry_run:
                self._call(self._store.store_flags(mailbox.mailbox_id, ranges, "set", flags))
        return sum(map(len, wanted.values()))


def _discard(batch: Sequence[Read]) -> None:
    for _, octets in batch:
        if not isinstance(octets, bytes):
            octets.discard()


class _FolderCopy:
    """One folder on its way in."""

    def __init__(
        self,
        importer: Importer,
        folder: SourceFolder,
        names: ImportSource,
        opened: Opened,
        result: FolderResult,
        report: Report,
    ) -> None:
        self._importer = importer
        self._folder = folder
        self._names = names
        self._opened = opened
        self._result = result
        self._report = report
        self._batch: list[Read] = []
        self._octets = 0
        self._done = 0
        self._known_flags: dict[int, Flags] = {}

    def run(self) -> None:
        importer, opened = self._importer, self._opened
        importer.show(self._folder, 0, opened)
        try:
            for item in opened.items:
                self._take(item)
                self._done += item.share
                importer.show(self._folder, self._done, opened)
            # UIDNEXT comes last: until then, messages are numbered below it.
            self._flush(opened.uid_next)
            self._set_known_flags()
        except BaseException:
            self._keep_what_is_here()
            _discard(self._batch)
            raise

    def _take(self, item: Message | Known | Trouble) -> None:
        result = self._result
        match item:
            case Trouble():
                if item.share:
                    result.found += 1
                    result.failed += 1
                self._report.add_trouble(item)
            case Known():
                result.found += 1
                result.already += 1
                if item.uid and item.flags is not None:
                    self._known_flags[item.uid] = item.flags
                    if len(self._known_flags) >= FLAG_ROWS:
                        self._set_known_flags()
            case Message():
                result.found += 1
                if self._importer.dry_run:
                    result.copied += 1
                else:
                    self._bring(item)

    def _bring(self, item: Message) -> None:
        # Messages that are numbered here must lie above all that are numbered there.
        uid_next = 0 if item.uid else self._opened.uid_next
        if uid_next and self._batch and self._batch[-1][0].uid:
            self._flush()
        try:
            octets = self._importer.octets_of(item)
        except (MessageFailed, OSError) as error:
            self._result.failed += 1
            self._report.add_trouble(Trouble(f"{self._folder.folder}: {item.key}", str(error)))
            return
        self._batch.append((item, octets))
        self._octets += len(octets) if isinstance(octets, bytes) else SMALL_OCTETS
        if len(self._batch) >= BATCH_MESSAGES or self._octets >= BATCH_OCTETS:
            self._flush(uid_next)

    def _flush(self, uid_next: int = 0) -> None:
        validity = self._opened.uid_validity
        if self._importer.dry_run or not (self._batch or uid_next or not self._result.found):
            return
        batch, self._batch, self._octets = self._batch, [], 0
        try:
            added = self._importer.add(self._folder, self._names, batch, validity, uid_next)
        except BaseException:
            _discard(batch)
            raise
        new = sum(uid is not None for uid in added.uids)
        self._result.copied += new
        self._result.already += len(added.uids) - new
        if any(message.uid for message, _ in batch):
            self._result.kept_uids = added.kept_uids and self._result.kept_uids is not False

    def _keep_what_is_here(self) -> None:
        """The work ends; what was read already need not be read again."""
        try:
            self._flush()
        except (GatewayError, KeyboardInterrupt):
            return  # the next run reads it again

    def _set_known_flags(self) -> None:
        theirs, self._known_flags = self._known_flags, {}
        if theirs and self._importer.refreshes_flags:
            self._result.flags_set += self._importer.set_flags(
                self._folder, self._opened.uid_validity, theirs
            )
