"""Whether the person may still be in the shared mailbox that is selected.

Owns the time between two looks. Who has lost the right to read is out within LOOK_EVERY_S, whatever
the session does meanwhile; while the directory cannot say, things stay as they are. Never replies.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.log_text import escaped
from gateway.core.ports.clock import Timers
from gateway.core.shared_mailboxes import Rights

LOOK_EVERY_S = 30.0


class AccessGuard:
    """Looks again and again, until it is stopped.

    Args:
        look: what may be done there now.
        told: hears of it each time.
    """

    log = Logger()

    def __init__(
        self,
        timers: Timers,
        look: Callable[[], Coroutine[Deferred[Any], Any, Rights]],
        told: Callable[[Rights], None],
    ) -> None:
        self._timers = timers
        self._look = look
        self._told = told
        self._stopped = False
        self._timer = timers.callLater(LOOK_EVERY_S, self._begin)

    def stop(self) -> None:
        self._stopped = True
        if self._timer.active():
            self._timer.cancel()

    def _begin(self) -> None:
        looking: Deferred[None] = Deferred.fromCoroutine(self._again())
        looking.addErrback(lambda failure: self.log.failure("rights not looked at", failure))

    async def _again(self) -> None:
        try:
            rights = await self._look()
        except GatewayError as error:
            self.log.info("rights stay as they are: {error}", error=escaped(error))
        else:
            if not self._stopped:
                self._told(rights)
        finally:
            if not self._stopped:
                self._timer = self._timers.callLater(LOOK_EVERY_S, self._begin)
