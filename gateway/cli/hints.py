"""Tells a running gateway what a command committed beside it, so that open sessions see it at once.

Owns the batching and the thread that asks the control socket. A hint that cannot be given is
dropped: the store has the change, and sessions find it at their next look.

Limits: one request in EVERY_S, EVENTS_PER_REQUEST in each; the last ones are waited for at most
CLOSE_LIMIT_S.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.ids import AccountId, MailboxId
from gateway.core.mailboxes import MailboxEvent

EVERY_S = 0.3
EVENTS_PER_REQUEST = 5_000
CLOSE_LIMIT_S = 5.0


class Hints:
    """Gathers what was committed; the latest of each mailbox is enough.

    Args:
        post: sends one request's body; blocks, and raises GatewayError when nobody takes it.
    """

    log = Logger()

    def __init__(
        self, post: Callable[[Mapping[str, object]], object], every_s: float = EVERY_S
    ) -> None:
        self._post = post
        self._every_s = every_s
        self._changed = threading.Condition()
        self._events: dict[tuple[AccountId, MailboxId], int] = {}
        self._queue_grew = self._closed = False
        self._thread = threading.Thread(target=self._run, name="hints", daemon=True)
        self._thread.start()

    def tell(self, events: Sequence[MailboxEvent], queue_grew: bool) -> None:
        """Never blocks."""
        with self._changed:
            for event in events:
                self._events[event.account_id, event.mailbox_id] = event.highest_modseq
            self._queue_grew = self._queue_grew or queue_grew
            self._changed.notify()

    def close(self) -> None:
        """Send what is left."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(CLOSE_LIMIT_S)

    def _run(self) -> None:
        while (body := self._next()) is not None:
            try:
                self._post(body)
            except GatewayError as error:
                self.log.debug("the gateway was not told of changes: {error}", error=str(error))
            with self._changed:
                self._changed.wait_for(lambda: self._closed, self._every_s)

    def _next(self) -> Mapping[str, object] | None:
        """A request's body as soon as there is something to say; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._events or self._queue_grew or self._closed)
            if not self._events and not self._queue_grew:
                return None
            chosen = list(self._events)[:EVENTS_PER_REQUEST]
            events = [[*key, self._events.pop(key)] for key in chosen]
            grew, self._queue_grew = self._queue_grew, False
            return {"events": events, "queue_grew": grew}
