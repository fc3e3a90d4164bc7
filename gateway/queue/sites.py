"""What the runner has learnt of each destination: how many attempts it bears, and its troubles.

Owns the window, the rate and the rounds of one destination, and the table of those remembered.
Arithmetic on monotonic seconds, so that no clock that is set matters; never sends, never asks the
store.

The window starts at FIRST_WINDOW, so that many destinations that never answer do not fill the
runner. It opens by one for each answer up to OPEN_WINDOW, and grows then by one whenever as many
attempts as it allows were answered (1/window for each, as in Postfix), but only while it is used
up: a window that was not used proves nothing.

BUSY halves it, once for all attempts that were begun before; a destination that is busy even for
one at a time is left alone for a while. DEAD counts a share of the attempts in flight (a
pseudo-cohort, as Postfix calls it): when as many as were in flight have reached nobody and none was
answered meanwhile, the destination is dead. So a lone attempt suffices, but one failure among
twenty attempts that pass does not. A dead one is tried with one attempt when its round is over;
then the window opens as for a new one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from random import Random

from gateway.core.queue import Outcome, Trouble, Verdict
from gateway.queue.line import Line
from gateway.queue.paces import Pace, Paces

FIRST_WINDOW = 2.0
OPEN_WINDOW = 5.0
UNPROVEN_LINE = 8
"""So many wait in memory for a destination that nobody knows to answer."""
MAX_ROUND_S = 600
"""A dead destination is tried this often, if it has mail that is due then."""
FIRST_PAUSE_S, MAX_PAUSE_S = 2.0, 300.0
FORGET_S = 600.0
"""After so long without mail a window says nothing of today."""
AHEAD_S = 10.0
"""What a limited rate allows in this time may wait in memory."""


class Site:
    """One destination.

    Attributes:
        more: the store has mail for it that is due.
        urgent: a message has more recipients, who go before anybody else: nothing is started until
            they are taken from the store.
        proven: it has answered; more room is kept for such.
        epoch: counts how often the window was shrunk, to know whom an attempt's end concerns.
        is_dead: nobody could be talked to, and nobody has been since.
        closed_until: nothing is tried before, as it is dead or too busy.
        next_slot: when its rate allows the next message.
        problem: the latest trouble, None while all is well.
        place: among those that may start (``rota``); ``in_known``: which of the two rotas.
        wakes_at: when the runner looks at it again.
    """

    __slots__ = (
        "_cohort", "_flow_since", "_flowed", "_interval_s", "_pauses", "_rounds", "closed_until",
        "epoch", "in_flight", "in_known", "is_dead", "line", "line_bound", "more", "name",
        "next_slot", "pace", "place", "problem", "proven", "urgent", "used_at", "wakes_at",
        "window",
    )  # fmt: skip

    def __init__(self, name: str, pace: Pace, line_bound: int) -> None:
        self.name = name
        self.pace = pace
        self.line = Line()
        self.line_bound = line_bound
        self.in_flight = 0
        self.more = self.urgent = self.proven = self.in_known = self.is_dead = False
        self.window = min(FIRST_WINDOW, float(pace.connections))
        self.epoch = 0
        self.problem: Outcome | None = None
        self.closed_until = self.next_slot = 0.0
        self.used_at = 0.0
        self.place = -1
        self.wakes_at: float | None = None
        self._cohort = 0.0
        self._rounds = self._pauses = 0
        self._interval_s = 60 / pace.messages_per_minute if pace.messages_per_minute else 0.0
        self._flowed = 0
        self._flow_since = 0.0

    @property
    def is_idle(self) -> bool:
        return not self.in_flight and not self.line

    def is_stale(self, now: float) -> bool:
        """What was learnt is of no use any more."""
        unused = now - self.used_at > FORGET_S and self.is_idle
        return unused and not self.is_dead and self.closed_until <= now

    # -- what may be done

    def may_start(self, now: float) -> bool:
        return (
            bool(self.line)
            and not self.urgent
            and self.in_flight < int(self.window)
            and self.closed_until <= now
            and self.next_slot <= now
        )

    def opens_at(self, now: float) -> float | None:
        """When something may be started that may not now, if time alone is in the way."""
        at = max(self.closed_until, self.next_slot)
        wants = self.more or bool(self.line)
        return at if at > now and wants and self.in_flight < int(self.window) else None

    def defers(self, now: float) -> bool:
        """Its mail is put off without an attempt."""
        return self.is_dead and now < self.closed_until

    def room(self, now: float) -> int:
        """Messages that it could have in its line, beside those that are there."""
        waiting = len(self.line)
        if self.closed_until > now:
            return 0
        if self.is_dead:  # one goes ahead to look
            return 0 if waiting or self.in_flight else 1
        bound = self.line_bound if self.proven else min(self.line_bound, UNPROVEN_LINE)
        room = bound - waiting if waiting <= bound // 2 else 0
        if self._interval_s:
            ahead = int((now + AHEAD_S - self.next_slot) / self._interval_s) + 1
            room = min(room, ahead - waiting) if self.next_slot <= now + 1 else 0
        return max(room, 1) if self.urgent else max(room, 0)

    # -- what happens

    def started(self, now: float) -> int:
        """Returns the epoch."""
        self.in_flight += 1
        self._flowed += 1
        if self._interval_s:
            # What was not sent for a second at most is made up for.
            made_up = max(0.0, 1.0 - self._interval_s)
            self.next_slot = max(self.next_slot, now - made_up) + self._interval_s
        return self.epoch

    def filled(self, now: float, shortest: int, longest: int) -> None:
        """The line is filled again: it is to last for a quarter of a second, at the speed at
        which it went down."""
        took_s = now - self._flow_since
        enough = int(self._flowed / took_s / 4) if took_s > 0.001 else 0
        self._flowed, self._flow_since = 0, now
        self.line_bound = min(max(shortest, 2 * int(self.window), enough), longest)

    def ended(self, outcomes: Sequence[Outcome], epoch: int, now: float, random: Random) -> bool:
        """An attempt is over, and still counted in flight. True: the destination has just died."""
        worst, answered = Trouble.NONE, False
        for each in outcomes:
            if each.trouble is not Trouble.NONE and worst is not Trouble.DEAD:
                worst = each.trouble
                self.problem = each
            answered = answered or bool(each.remote) or each.verdict is not Verdict.DEFERRED
        if worst is Trouble.DEAD and not any(e.verdict is Verdict.DELIVERED for e in outcomes):
            return self._reached_nobody(epoch, now, random)
        if worst is Trouble.BUSY:
            self._busy(epoch, now)
        elif answered:
            self._answered()
        return False

    def revive(self, now: float) -> None:
        """Somebody wants it tried now."""
        if self.closed_until > now or self.is_dead:
            self._alive()
            self.closed_until = 0.0
            self.window = min(max(FIRST_WINDOW, self.window), float(self.pace.connections))
            self.epoch += 1

    def _answered(self) -> None:
        self._alive()
        self._pauses = 0
        self.problem = None
        if self.in_flight >= int(self.window):
            self.window += 1.0 if self.window < OPEN_WINDOW else 1.0 / self.window
            self.window = min(self.window, float(self.pace.connections))

    def _alive(self) -> None:
        if self.is_dead:
            self.closed_until = 0.0
        self.is_dead = False
        self._cohort = 0.0
        self._rounds = 0
        self.proven = True

    def _busy(self, epoch: int, now: float) -> None:
        self._alive()
        if epoch != self.epoch:
            return  # begun before it was heard of
        self.epoch += 1
        if int(self.window) <= 1:
            pause_s = min(FIRST_PAUSE_S * 2**self._pauses, MAX_PAUSE_S)
            self._pauses = min(self._pauses + 1, 20)
            self.closed_until = max(self.closed_until, now + pause_s)
        self.window = max(1.0, self.window / 2)

    def _reached_nobody(self, epoch: int, now: float, random: Random) -> bool:
        if epoch != self.epoch and self.is_dead:
            return False  # of the same cohort as those that said so
        self._cohort += 1 / max(1, self.in_flight)
        self.window = max(1.0, self.window / 2)
        if not self.is_dead and self._cohort < 1 - 1e-9:
            return False
        waits_s = self.pace.schedule.delays_s
        wait_s = min(waits_s[min(self._rounds, len(waits_s) - 1)], MAX_ROUND_S)
        # A little less than a message waits, so that the first to come again is the one to look.
        self.closed_until = now + wait_s * random.uniform(0.7, 0.85)
        self._rounds += 1
        self._cohort = 0.0
        self.window = 1.0
        self.epoch += 1
        self.is_dead, self.proven = True, False
        return True


class Sites:
    """The destinations that are remembered, the latest used last."""

    def __init__(self, paces: Paces, bound: int, line_bound: int) -> None:
        self._paces = paces
        self._bound = bound
        self._line_bound = line_bound
        self._sites: OrderedDict[str, Site] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sites)

    def __iter__(self) -> Iterator[Site]:
        return iter(self._sites.values())

    def find(self, name: str) -> Site | None:
        return self._sites.get(name)

    def get(self, name: str, now: float) -> Site:
        site = self._sites.get(name)
        if site is not None and site.is_stale(now):
            del self._sites[name]
            site = None
        if site is None:
            self._make_room()
            site = self._sites[name] = Site(name, self._paces.of(name), self._line_bound)
        else:
            self._sites.move_to_end(name)
        site.used_at = now
        return site

    def _make_room(self) -> None:
        """Forget the longest unused; those with mail in memory are fewer than the bound."""
        for _ in range(len(self._sites)):
            if len(self._sites) < self._bound:
                return
            name, site = self._sites.popitem(last=False)
            if not site.is_idle:
                self._sites[name] = site
