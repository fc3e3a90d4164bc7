"""When notes of people are compared with the directory, in the process that runs the queue.

Owns the times: FIRST_S after this process begins to lead, when a picture that was not there may
have been filled; soon after a directory has been listed; and every EVERY_S where a directory has no
picture, as nobody tells of its people then. Never decides what is noted (``gateway.people``).
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gateway.core.errors import GatewayError
from gateway.core.log_text import escaped
from gateway.core.pause import pause
from gateway.core.ports.clock import Timer, WallClock
from gateway.core.ports.directory import Directory
from gateway.core.settings.model import Settings, each_directory
from gateway.people.following import Compared, PeopleFollower
from gateway.people.from_settings import follower_from
from gateway.store.store import Store

FIRST_S = 60.0
SOON_S = 5.0
EVERY_S = 300.0
BREATH_S = 0.0005


class PeopleCare:
    """Args: reactor: its timers."""

    log = Logger()

    def __init__(
        self,
        settings: Settings,
        directory: Directory,
        store: Store,
        reactor: Any,
        wall_clock: WallClock,
    ) -> None:
        self._reactor = reactor
        self._timer: Timer | None = None
        self._leads = False
        self._running: Deferred[None] | None = None
        self._again = False
        self._untold = any(
            each.kind != "ldap" or not each.picture for _, each in each_directory(settings)
        )
        self.follower: PeopleFollower = follower_from(
            settings,
            directory,
            store.people.notes,
            wall_clock=wall_clock,
            pause=self._breathe,
            on_listed=self._soon,
        )

    def start(self) -> None:
        """This process runs the queue."""
        self._leads = True
        self._at(FIRST_S)

    async def stop(self) -> None:
        """Before the store is closed."""
        self._leads = False
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    async def _breathe(self) -> None:
        await pause(self._reactor, BREATH_S)

    def _soon(self) -> None:
        if self._running is not None:
            self._again = True
            return
        self._at(SOON_S)

    def _at(self, seconds: float) -> None:
        if not self._leads:
            return
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() > self._reactor.seconds() + seconds:
                self._timer.reset(seconds)
            return
        self._timer = self._reactor.callLater(seconds, self._compare)

    def _compare(self) -> None:
        self._again = False
        running: Deferred[None] = Deferred.fromCoroutine(self._compared())
        running.addErrback(self._failed)
        if not running.called:
            self._running = running
        running.addBoth(self._done)

    async def _compared(self) -> None:
        try:
            told: Compared = await self.follower.compare()
        except GatewayError as error:
            self.log.warn("people are not compared: {error}", error=escaped(error))
            return
        if told.unfinished:
            self.log.info(
                "notes of people are compared with the directory later: {why}",
                why=escaped(told.unfinished),
            )

    def _failed(self, failure: Failure) -> None:
        if self._leads:
            self.log.failure("people are not compared", failure)

    def _done(self, _: object) -> None:
        self._running = None
        if self._again:
            self._soon()
        elif self._untold:
            self._at(EVERY_S)
