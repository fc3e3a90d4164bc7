"""The change feed inside the process: who watches which mailbox, the queue, or filling accounts.

Lives on the reactor's thread. Called after commits only; an event is a hint to look again from a
MODSEQ, so one too many does no harm. Commits of this process are told to ``share`` too, which takes
them to the other processes; what those commit comes in by ``heard``. Never carries it itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.logger import Logger

from gateway.core.ids import AccountId, MailboxId, ModSeq
from gateway.core.mailboxes import MailboxEvent
from gateway.core.quota import Usage

Tell = Callable[[Sequence[MailboxEvent], bool], None]
"""Takes events of one commit, and whether it added to the queue."""
_ANY_MODSEQ = ModSeq(2**63 - 1)


class Feed:
    """Calls watchers back; one that raises is logged and does not hinder the others."""

    log = Logger()

    def __init__(self) -> None:
        self._mailboxes: dict[MailboxId, dict[object, Callable[[MailboxEvent], None]]] = {}
        self._queue: dict[object, Callable[[], None]] = {}
        self._tell: Tell | None = None
        self._filling: dict[object, Callable[[AccountId, Usage], None]] = {}

    def watch(
        self, mailbox_id: MailboxId, callback: Callable[[MailboxEvent], None]
    ) -> Callable[[], None]:
        key = object()
        self._mailboxes.setdefault(mailbox_id, {})[key] = callback

        def stop() -> None:
            watchers = self._mailboxes.get(mailbox_id, {})
            watchers.pop(key, None)
            if not watchers:
                self._mailboxes.pop(mailbox_id, None)

        return stop

    def watch_queue(self, callback: Callable[[], None]) -> Callable[[], None]:
        key = object()
        self._queue[key] = callback

        def stop() -> None:
            self._queue.pop(key, None)

        return stop

    def watch_filling(self, callback: Callable[[AccountId, Usage], None]) -> Callable[[], None]:
        key = object()
        self._filling[key] = callback

        def stop() -> None:
            self._filling.pop(key, None)

        return stop

    def filling(self, accounts: Sequence[tuple[AccountId, Usage]]) -> None:
        """These accounts of our own commit have nearly used up what they may keep."""
        for account_id, usage in accounts:
            for callback in tuple(self._filling.values()):
                try:
                    callback(account_id, usage)
                except Exception:
                    self.log.failure("a watcher of quotas failed at {id}", id=account_id)

    def share(self, tell: Tell) -> None:
        """Tell other processes of this one's commits."""
        self._tell = tell

    def committed(self, events: Sequence[MailboxEvent], queue_grew: bool) -> None:
        """Tell everybody concerned by a commit of this process."""
        self.heard(events, queue_grew)
        if self._tell is not None and (events or queue_grew):
            try:
                self._tell(events, queue_grew)
            except Exception:
                self.log.failure("other processes could not be told of a commit")

    def doubt(self) -> None:
        """Commits of other processes may have been missed: all watchers look again."""
        # Whoever watches a mailbox compares MODSEQs only; none is below this one.
        self.heard(
            [MailboxEvent(AccountId(""), one, _ANY_MODSEQ) for one in tuple(self._mailboxes)], True
        )

    def heard(self, events: Sequence[MailboxEvent], queue_grew: bool) -> None:
        """Tell everybody of this process who is concerned by a commit."""
        if self._mailboxes:
            for event in events:
                for callback in tuple(self._mailboxes.get(event.mailbox_id, {}).values()):
                    try:
                        callback(event)
                    except Exception:
                        self.log.failure("a watcher of mailbox {id} failed", id=event.mailbox_id)
        if queue_grew:
            for notify in tuple(self._queue.values()):
                try:
                    notify()
                except Exception:
                    self.log.failure("a watcher of the queue failed")
