"""``gateway queue export``: queued messages as files, for looking into or sending on by hand.

Owns the command and the order of things: a page of messages is written and kept on disk before any
of them is deleted, and nothing is deleted that was not written now. Reads the store itself, beside
the running gateway too, so that large messages cost that nothing; deletes at the gateway. Where the
files are and how they look is ``transfer.queue_files``'.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click

from gateway.cli.desk import Desk, at_desk
from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.plain import plain
from gateway.cli.progress import ProgressShown
from gateway.cli.queue_access import Call
from gateway.cli.queue_filters import (
    Filter,
    chosen_filter,
    chosen_messages,
    filter_options,
    pieces,
)
from gateway.cli.queue_store import calls_at, calls_beside
from gateway.core.errors import GatewayError
from gateway.core.queue import QueueEntry, QueueItem
from gateway.queue.desk_deeds import find_message
from gateway.queue.desk_forms import entry_of
from gateway.transfer.queue_files import EmlFolder, MboxOfQueue, QueueFiles

PIECE_OCTETS = 1024 * 1024
_EPILOG = "\b\nExample:\n  gateway queue export --into /var/tmp/stuck --destination example.net"


class SomeNotExported(GatewayError):
    """Not everything that was asked for was done."""

    temporary = False


@dataclass(slots=True)
class Exported:
    """What was done."""

    exported: list[str] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    refused: list[dict[str, str]] = field(default_factory=list)


@click.command(epilog=_EPILOG)
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that waits.")
@click.option(
    "--into",
    "directory",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="A directory; it is made if it is not there.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["eml", "mbox"]),
    default="eml",
    show_default=True,
    help="ID.eml with the envelope in ID.json, or one queue.mbox.",
)
@click.option("--and-delete", is_flag=True, help="Delete what is written, when it is on disk.")
@filter_options
@config_option
@json_option
def export(
    ids: tuple[str, ...],
    everything: bool,
    directory: Path,
    form: str,
    and_delete: bool,
    config_path: str | None,
    as_json: bool,
    **chosen: object,
) -> None:
    """Write messages into files; they stay in the queue.

    Nothing is overwritten: a message whose file is there already is left out, and told. The files
    are for their owner alone, as an envelope names also who gets a blind copy. In an mbox it stands
    in the header lines X-Queue-Id, -Sender, -Recipient and -Accepted.
    """
    which = chosen_filter(**chosen)
    chosen_messages(ids, which, everything)
    settings = load_settings(config_path).settings
    outcome = Exported()

    def work(desk: Desk) -> None:
        files: QueueFiles = EmlFolder(directory) if form == "eml" else MboxOfQueue(directory)
        try:
            export_work = _Work(desk, files, outcome, directory, and_delete=and_delete)
            export_work.run(tuple(dict.fromkeys(ids)), which, everything)
        finally:
            files.close()

    try:
        at_desk(settings, work, needs_directory=False, may_create=False, may_migrate=False)
    finally:
        _show(outcome, directory, and_delete, as_json)
    if outcome.refused:
        first = "; ".join(f"{each['id']}: {each['why']}" for each in outcome.refused[:5])
        raise SomeNotExported(f"{len(outcome.refused):,} messages: {plain(first)}")


def _show(outcome: Exported, directory: Path, and_delete: bool, as_json: bool) -> None:
    if as_json:
        told = {
            "directory": str(directory),
            "exported": outcome.exported,
            "deleted": outcome.deleted,
            "refused": outcome.refused,
        }
        click.echo(json.dumps(told, indent=2))
        return
    text = f"{len(outcome.exported):,} messages written into {directory}"
    click.echo(f"{text}, {len(outcome.deleted):,} deleted" if and_delete else text)


class _Work:
    """One export; in the thread of a desk's work."""

    def __init__(
        self, desk: Desk, files: QueueFiles, outcome: Exported, directory: Path, *, and_delete: bool
    ) -> None:
        self._desk = desk
        self._files = files
        self._outcome = outcome
        self._directory = directory
        self._delete: Call | None = calls_beside(desk) if and_delete else None

    def run(self, ids: tuple[str, ...], which: Filter, everything: bool) -> None:
        total = len(ids)
        if everything:
            total = self._desk.call(self._desk.store.depth()).messages
        done = 0
        with ProgressShown() as progress:
            for piece in pieces(calls_at(self._desk), ids, which):
                self._delete_all(self._write_all(piece, bool(ids)))
                done += len(piece)
                progress("queue export", done, max(total, done) if total else 0, "messages")

    def _write_all(self, piece: list[str], are_named: bool) -> list[str]:
        """Those that are on disk now; also those written before the disk was full are told."""
        written: list[str] = []
        try:
            # Not collected first: what is written before the disk is full counts.
            written.extend(filter(None, (self._write(each, are_named) for each in piece)))
        finally:
            self._files.keep()
            self._outcome.exported += written
        return written

    def _write(self, some_id: str, is_named: bool) -> str:
        """The queue id of a message that is written, else empty."""
        entry = self._desk.call(find_message(self._desk.store.queue, some_id))
        if entry is None:
            if is_named:  # what a page had may have been delivered meanwhile
                self._refuse(some_id, "no such message waits in the queue")
            return ""
        try:
            self._files.add(entry_of(entry), self._octets(entry.item))
        except GatewayError as error:
            if self._is_gone(entry):
                return ""
            self._refuse(entry.item.queue_id, str(error))
            return ""
        return entry.item.queue_id

    def _is_gone(self, entry: QueueEntry) -> bool:
        return self._desk.call(self._desk.store.queue.entry(entry.item.queue_id)) is None

    def _octets(self, item: QueueItem) -> Iterator[bytes]:
        end = item.content_offset + item.size_octets
        for start in range(item.content_offset, end, PIECE_OCTETS):
            length = min(PIECE_OCTETS, end - start)
            yield self._desk.call(self._desk.store.read(item.blob_id, start, length))

    def _delete_all(self, written: list[str]) -> None:
        if self._delete is None or not written:
            return
        reason = f"exported to {self._directory}"
        answer = self._delete("delete", {"ids": written, "reason": reason})
        self._outcome.deleted += answer["done"]
        for each in answer["refused"]:
            self._refuse(each["id"], f"written, but not deleted: {each['why']}")

    def _refuse(self, some_id: str, why: str) -> None:
        self._outcome.refused.append({"id": some_id, "why": why})
