"""Refreshing one directory's picture again and again, in the process that runs the queue.

Owns when: at once at the start and when a server is back, then every ``refresh_s`` with jitter,
later where a refresh takes long (REST_SHARE times as long, to some bound) or fails; one at a time;
and the end, which waits for nothing that could take long. What a refresh does is ``round``'s. A
start goes on from the cursor in the picture, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from gateway.core.errors import GatewayError
from gateway.core.log_text import escaped
from gateway.core.picture_status import PictureStatus, Shared
from gateway.core.ports.clock import Timer, Timers, WallClock
from gateway.core.ports.people import PeopleChanged
from gateway.core.ports.picture import KeyKind, SharedKey, WritesPicture
from gateway.directory.ldap.asking import Asks, LdapFailed
from gateway.directory.picture.cursor import Cursor
from gateway.directory.picture.differ import Differ
from gateway.directory.picture.round import Memory, Round
from gateway.directory.picture.source import MAIN, Source
from gateway.directory.picture.strategies.stamps import ServerTime

REST_SHARE = 10
MOST_RESTS = 5
"""Of refresh_s, after a long one: a picture without news is soon believed less."""
FIRST_RETRY_S = 1.0
RETRY_S = 60.0
"""At most between attempts that fail, if refresh_s is not longer."""
UNREACHED_S = 4.0
"""While no server can be reached: asking that costs nothing, as it is known of each (``servers``),
and the first to be back is asked at once."""
JITTER = 0.1
SHARED_SHOWN = 20
SHARED_CHECK_S = 600.0


class Refresher:
    """One directory.

    Args:
        random: in [0, 1).
    """

    log = Logger()

    def __init__(
        self,
        source: Source,
        asks: Asks,
        picture: WritesPicture,
        tells: PeopleChanged,
        *,
        refresh_s: float,
        timers: Timers,
        wall_clock: WallClock,
        random: Callable[[], float],
    ) -> None:
        self._source = source
        self._asks = asks
        self._picture = picture
        self._tells = tells
        self._refresh_s = refresh_s
        self._timers = timers
        self._wall_clock = wall_clock
        self._random = random
        self._memory = Memory(ServerTime(timers))
        self._running: Deferred[None] | None = None
        self._timer: Timer | None = None
        self._started = False
        self._again = False
        self._accepted = False
        self._unreached = False
        self._shared: Sequence[Shared] = ()
        self._shared_at: tuple[float, int] | None = None

    @property
    def name(self) -> str:
        return self._source.name

    def start(self) -> None:
        """This process refreshes from now on."""
        if not self._started:
            self._started = True
            self._begin()

    async def stop(self) -> None:
        """Refresh no more; a refresh that runs is given up, and done again by whoever is next."""
        self._started = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        running = self._running
        if running is not None:
            ended: Deferred[None] = Deferred()
            running.addBoth(ended.callback)
            running.cancel()
            await ended

    def wake(self) -> None:
        """A server is back, or somebody wants it now."""
        if not self._started:
            return
        if self._running is not None:
            self._again = True
        else:
            self._begin()

    def accept(self) -> str:
        """An administrator's word: let those leave whom a stop keeps in the picture.

        Returns: what is let go on; empty: nothing has stopped.

        Raises:
            StoreUnavailable: the picture cannot be read.
        """
        stopped = self._picture.state(self.name).stopped
        if stopped and self._started:
            self._accepted = True
            self.wake()
        return stopped

    def status(self) -> PictureStatus:
        """Raises: StoreUnavailable."""
        state = self._picture.state(self.name)
        cursor = Cursor.parse(state.cursor)
        progress = self._memory.progress
        return PictureStatus(
            name=self.name,
            people=state.people,
            groups=state.groups,
            listed_at=state.listed_at,
            refreshed_at=state.refreshed_at,
            way=progress.way or (cursor.way if cursor is not None else ""),
            server=progress.server,
            listing=progress.running,
            seen=progress.seen,
            per_second=round(progress.per_second, 1),
            listing_took_s=round(progress.listing_took_s, 3),
            stopped=state.stopped,
            error=progress.error,
            unusable=progress.unusable,
            unusable_examples=tuple(progress.unusable_examples),
            shared=tuple(self._shared),
        )

    # -- timing

    def _begin(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._running = Deferred.fromCoroutine(self._run())
        self._running.addErrback(lambda failure: self.log.failure("refreshing ended", failure))
        if self._running.called:
            self._running = None

    async def _run(self) -> None:
        began = self._timers.seconds()
        try:
            await self._refresh()
        except CancelledError:
            return
        finally:
            self._running = None
        took_s = self._timers.seconds() - began
        if not self._started:
            return
        if self._again:
            self._again = False
            delay_s = 0.0
        elif self._memory.progress.failures:
            doubled = FIRST_RETRY_S * 2 ** min(self._memory.progress.failures - 1, 10)
            most_s = UNREACHED_S if self._unreached else max(RETRY_S, self._refresh_s)
            delay_s = min(doubled, most_s)
        else:
            delay_s = max(self._refresh_s, min(took_s * REST_SHARE, self._refresh_s * MOST_RESTS))
        delay_s *= 1 + JITTER * (2 * self._random() - 1)
        self._timer = self._timers.callLater(delay_s, self._begin)

    async def _refresh(self) -> None:
        progress = self._memory.progress
        accepted, self._accepted = self._accepted, False
        error, was_unreached = "", self._unreached
        try:
            await self._once(accepted)
            await self._look_for_shared()
        except LdapFailed as failed:
            error = escaped(failed.reason)
        except GatewayError as failed:
            error = escaped(failed)
        except CancelledError:
            raise
        except Exception:
            self.log.failure("directory {name}: unexpected error", name=self._called)
            error = "unexpected error; the log says more"
        if error:
            self._accepted = self._accepted or accepted
            progress.failures += 1
            if error != progress.error and not (was_unreached and self._unreached):
                self.log.error(
                    "directory {name}: not refreshed, the picture stays as it is: {error}",
                    name=self._called,
                    error=error,
                )
        elif progress.error:
            progress.failures = 0
            self.log.info("directory {name}: refreshed again", name=self._called)
        progress.error = error

    @property
    def _called(self) -> str:
        return self.name or MAIN

    async def _once(self, accepted: bool) -> None:
        self._unreached = True
        listening = await self._asks.listening()
        self._unreached = False
        try:
            refresh = Round(
                self._source,
                self._picture,
                self._tells,
                listening,
                self._memory,
                timers=self._timers,
                wall_clock=self._wall_clock,
            )
            await refresh.run(accepted=accepted)
        finally:
            await listening.close()

    # -- what several have

    async def _look_for_shared(self) -> None:
        """After changes, and not too often: all keys are compared."""
        now, changed = self._timers.seconds(), self._memory.progress.changed
        if self._shared_at is not None:
            at, known = self._shared_at
            if changed == known or now - at < SHARED_CHECK_S:
                return
        self._shared_at = (now, changed)
        found: list[Shared] = []
        for kind, called in ((KeyKind.ADDRESS, "address"), (KeyKind.LOGIN, "login")):
            for each in await self._picture.shared(kind, SHARED_SHOWN):
                if any(source == self.name for source, _ in each.entry_ids):
                    found.append(Shared(called, escaped(each.key), self._owners(each)))
                    if len(found) == 1 and not self._shared:
                        self._warn(found[0], [source for source, _ in each.entry_ids])
        self._shared = found

    def _warn(self, shared: Shared, sources: Sequence[str]) -> None:
        so = "mail for it waits, and nobody logs in with it"
        if len(set(sources)) == len(sources):
            so = "the directory that has its domain counts, or that comes first in the settings"
        self.log.warn(
            "directory {name}: several entries have {what} {key}: {owners}; {so}",
            name=self._called,
            what=shared.what,
            key=shared.key,
            owners=", ".join(shared.owners),
            so=so,
        )

    def _owners(self, shared: SharedKey) -> tuple[str, ...]:
        differ = Differ(self._source, self._picture, self._tells, self._timers)
        told = []
        for source, entry_id in shared.entry_ids:
            entry = self._picture.entry(source, entry_id)
            if entry is not None:
                where = "" if source == self.name else f" ({escaped(source or MAIN)})"
                told.append(f"{differ.name_of(entry)}{where}")
        return tuple(told)
