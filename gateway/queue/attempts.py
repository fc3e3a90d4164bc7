"""One attempt from its beginning to its record, and the putting off of what cannot be tried.

Owns what comes before (the time that the sender set, the screen), that an error inside costs one
message one attempt (SECURITY D10), and that what was sent but cannot be recorded is not sent again
(D4). Never decides when or how many.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import ParamSpec, Protocol

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from gateway.core.ids import QueueId
from gateway.core.ports.clock import Timers
from gateway.core.queue import Outcome, QueueItem, Verdict, WaitingRecipient
from gateway.queue import deadlines
from gateway.queue.clock import QueueClock
from gateway.queue.line import Group
from gateway.queue.screen import Keep, Screen
from gateway.queue.settle import Settler
from gateway.queue.sites import Site

P = ParamSpec("P")

NOT_TRIED = "(as another message found out; not tried with this one)"


class Delivery(Protocol):
    """Makes attempts; kept by ``delivery.remote``."""

    async def attempt(self, item: QueueItem) -> list[Outcome]:
        """All recipients of the item go together: one transaction with one server."""
        ...

    async def stop(self) -> None:
        """No more attempts come: part from other servers as soon as those under way are over."""
        ...


Holder = Callable[[Sequence[QueueId], str], Awaitable[object]]
"""Holds messages for a reason (``QueueControl.hold``)."""


class Attempts:
    """Makes attempts and has them settled.

    Args:
        learnt: something is known of the destination by this attempt; True: it has just died.
        over: the group is out of our hands; ``kept`` says that it must stay in them.
    """

    log = Logger()

    def __init__(
        self,
        delivery: Delivery,
        settler: Settler,
        screen: Screen,
        hold: Holder | None,
        *,
        clock: QueueClock,
        timers: Timers,
        random: Random,
        learnt: Callable[[Site, bool], None],
        over: Callable[[Site, Group, bool], None],
    ) -> None:
        self._delivery = delivery
        self._settler = settler
        self._screen = screen
        self._hold = hold
        self._clock = clock
        self._timers = timers
        self._random = random
        self._learnt = learnt
        self._over = over
        self._sending: set[Group] = set()
        self._breaking_off = False

    def break_off(self) -> None:
        """End what is being sent; it is due again at once."""
        self._breaking_off = True
        for group in list(self._sending):
            if group.task is not None:
                group.task.cancel()

    async def make(self, site: Site, group: Group) -> None:
        item = group.item
        kept = tried = False
        try:
            judged = self._before(item)
            if judged is None:
                tried = True
                self._sending.add(group)
                try:
                    judged = await self._delivery.attempt(item)
                finally:
                    self._sending.discard(group)
        except Exception as problem:
            if self._breaking_off and isinstance(problem, CancelledError):
                await self.put_back(group)
                self._over(site, group, False)
                return
            self.log.failure("{queue_id} attempt failed within", queue_id=item.queue_id)
            judged = _deferred(item, "4.3.0", "an error inside this server; its log says more")
        if tried and not isinstance(judged, Keep):
            self._carefully(self._learn, site, group, judged)
        try:
            await self._settle(group, judged, tried)
        except CancelledError:
            kept = True
        except Exception:
            # Sent but not recorded: were the recipients let go, they would get the message again
            # and again. They stay held till the next start (SECURITY D4, D10).
            kept = True
            self.log.failure("{queue_id} cannot be recorded and is held", queue_id=item.queue_id)
        else:
            if tried and not isinstance(judged, Keep):
                self._carefully(self._screen.learn, item, judged)
        self._over(site, group, kept)

    async def defer(self, site: Site, group: Group) -> None:
        """Put off a message for a destination that is dead, with the words of the last problem;
        it counts as an attempt."""
        item, problem = group.item, site.problem
        kept = False
        try:
            judged = self._before(item)
            if judged is None:
                status, words = "4.4.1", "nobody could be talked to"
                if problem is not None:
                    status, words = problem.status, problem.reply
                judged = _deferred(item, status, f"{words} {NOT_TRIED}")
            await self._settle(group, judged, False)
        except CancelledError:
            kept = True
        except Exception:
            kept = True
            self.log.failure("{queue_id} cannot be put off and is held", queue_id=item.queue_id)
        self._over(site, group, kept)

    async def put_back(self, group: Group) -> None:
        """Free a group that was not tried."""
        item = group.item
        try:
            await self._settler.put_back(item, item.recipients, self._clock.now())
        except CancelledError:
            pass  # the store is in trouble while we stop; its lease ends with us
        except Exception:
            self.log.failure("{queue_id} cannot be put back", queue_id=item.queue_id)

    def _before(self, item: QueueItem) -> Keep | Sequence[Outcome] | None:
        by = item.options.deliver_by
        if by is not None and deadlines.must_go_back(item, self._clock.promised()):
            return [
                Outcome(each.number, Verdict.FAILED, deadlines.OVER, deadlines.OVER_TEXT)
                for each in item.recipients
            ]
        return self._screen.judge(item)

    def _learn(self, site: Site, group: Group, outcomes: Sequence[Outcome]) -> None:
        now = self._timers.seconds()
        self._learnt(site, site.ended(outcomes, group.epoch, now, self._random))

    def _carefully(self, what: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """An error in what is learnt of an attempt must not change how it ended."""
        try:
            what(*args, **kwargs)
        except Exception:
            self.log.failure("what an attempt tells cannot be kept")

    async def _settle(self, group: Group, judged: Keep | Sequence[Outcome], tried: bool) -> None:
        item = group.item
        if isinstance(judged, Keep):
            if self._hold is None:
                raise RuntimeError("nobody here can hold a message")
            await self._hold((item.queue_id,), judged.reason)
            await self._settler.put_back(item, item.recipients, self._clock.now())
            return
        recipients: Sequence[WaitingRecipient] = item.recipients
        if len(recipients) > 1:
            undecided = _undecided(recipients, judged, tried)
            if undecided:
                # They stay due, and are taken again when the others are recorded: the server said
                # nothing of them, so this counts for no attempt. Each time some are decided.
                group.rest = True
                recipients = [each for each in recipients if each.number not in undecided]
        now, promised = self._clock.now(), self._clock.promised()
        await self._settler.settle(item, recipients, judged, now, promised)


def _undecided(
    recipients: Sequence[WaitingRecipient], outcomes: Sequence[Outcome], tried: bool
) -> set[int]:
    """Those that the server took no more of, or that a screen let pass; never all of them."""
    numbers = {each.number for each in recipients}
    if tried:
        undecided = {each.number for each in outcomes if each.again} & numbers
    else:
        undecided = numbers - {each.number for each in outcomes}
    return undecided if undecided != numbers else set()


def _deferred(item: QueueItem, status: str, text: str) -> list[Outcome]:
    return [Outcome(each.number, Verdict.DEFERRED, status, text) for each in item.recipients]
