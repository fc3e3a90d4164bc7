"""Whether somebody may log in, as their entry says it: rules of a preset, evaluated here.

A lookup has to see what a bind would (SECURITY L16): people who prove themselves in another way, or
whose mail arrives, never bind. Owns the kinds of rules and what they come to. A rule that time
decides also says when; whoever keeps the outcome looks again then.

Never refuses what cannot be read: attributes that are missing or malformed hold for nobody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from gateway.directory.times import DAY_S, TimeForm, number_in, time_in
from gateway.wire.ldap.filters import (
    Filter,
    FilterSyntax,
    attributes_of,
    check_attribute,
    matches,
)

LOOK_AGAIN_S = 60.0
"""After which what the server computes, or takes back without a trace in the entry, is stale."""

Attributes = Mapping[str, Sequence[bytes]]


class Effect(Enum):
    """What a rule that holds does. Disabled is for good, what becomes of the mail is a policy;
    locked passes, and the mail comes as ever."""

    DISABLED = "disabled"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True)
class BitSet:
    """A bit of a number, as in userAccountControl."""

    attribute: str
    bit: int


@dataclass(frozen=True, slots=True)
class Passed:
    """A point in time that is over."""

    attribute: str
    form: TimeForm


@dataclass(frozen=True, slots=True)
class Ahead:
    """A point in time that is still to come."""

    attribute: str
    form: TimeForm


@dataclass(frozen=True, slots=True)
class Lately:
    """A point in time less than ``for_s`` ago, for locks of which the entry does not tell how long
    they last."""

    attribute: str
    form: TimeForm
    for_s: float


@dataclass(frozen=True, slots=True)
class LongAgo:
    """A point in time more than ``after_s`` ago, such as a last login."""

    attribute: str
    form: TimeForm
    after_s: float


@dataclass(frozen=True, slots=True)
class DaysOver:
    """So many days after a day are over, both in the entry (shadowMax after shadowLastChange)."""

    since: str
    days: str


Test = BitSet | Passed | Ahead | Lately | LongAgo | DaysOver | Filter


@dataclass(frozen=True, slots=True)
class StateRule:
    """Args:
    words: for administrators, such as "the account has expired".
    fleeting: what it looks at changes without the entry being changed.
    unless: entries for which it never holds.
    """

    effect: Effect
    test: Test
    words: str
    fleeting: bool = False
    unless: Filter | None = None

    def __post_init__(self) -> None:
        for name in self.attributes:
            check_attribute(name)

    @property
    def attributes(self) -> tuple[str, ...]:
        """What it has to see."""
        besides = sorted(attributes_of(self.unless)) if self.unless is not None else ()
        match self.test:
            case BitSet(attribute) | Passed(attribute) | Ahead(attribute):
                return (attribute, *besides)
            case Lately(attribute) | LongAgo(attribute):
                return (attribute, *besides)
            case DaysOver(since, days):
                return (since, days, *besides)
            case _:
                return (*sorted(attributes_of(self.test)), *besides)


@dataclass(frozen=True, slots=True)
class State:
    """What the rules come to.

    Args:
        condition: words of all rules that hold.
        until: Unix time at which it may be another one though the entry is the same; 0: never.
    """

    enabled: bool = True
    locked: bool = False
    condition: str = ""
    until: float = 0.0


FINE = State()


def state_of(attributes: Attributes, rules: Sequence[StateRule], now: float) -> State:
    """Args:
    now: Unix time.
    """
    holding: list[StateRule] = []
    changes: list[float] = []
    for rule in rules:
        holds, changes_at = _evaluated(rule.test, attributes, now)
        if not holds and changes_at is None:
            continue
        if rule.unless is not None and _matches(rule.unless, attributes):
            continue
        if holds:
            holding.append(rule)
            if rule.fleeting:
                changes.append(now + LOOK_AGAIN_S)
        if changes_at is not None:
            changes.append(changes_at)
    if not holding and not changes:
        return FINE
    effects = {rule.effect for rule in holding}
    return State(
        enabled=Effect.DISABLED not in effects,
        locked=Effect.LOCKED in effects,
        condition="; ".join(dict.fromkeys(rule.words for rule in holding)),
        until=min(changes, default=0.0),
    )


def _evaluated(test: Test, attributes: Attributes, now: float) -> tuple[bool, float | None]:
    """Whether it holds, and when that changes by itself."""
    match test:
        case BitSet(attribute, bit):
            number = number_in(attributes.get(attribute.lower(), ()))
            return number is not None and bool(number & bit), None
        case Passed(attribute, form):
            at = time_in(attributes.get(attribute.lower(), ()), form)
            return _since(at, now)
        case LongAgo(attribute, form, after_s):
            at = time_in(attributes.get(attribute.lower(), ()), form)
            return _since(None if at is None else at + after_s, now)
        case DaysOver(since, days):
            start = number_in(attributes.get(since.lower(), ()))
            count = number_in(attributes.get(days.lower(), ()))
            # shadow(5): no or a negative number is no limit; day 0 is "change it now".
            if start is None or count is None or start <= 0 or not 0 <= count < 10**6:
                return False, None
            return _since(float((start + count + 1) * DAY_S), now)
        case Ahead(attribute, form):
            at = time_in(attributes.get(attribute.lower(), ()), form)
            return _until(at, now)
        case Lately(attribute, form, for_s):
            at = time_in(attributes.get(attribute.lower(), ()), form)
            return _until(None if at is None else at + for_s, now)
        case _:
            return _matches(test, attributes), None


def _matches(wanted: Filter, attributes: Attributes) -> bool:
    try:
        return matches(wanted, attributes)
    except FilterSyntax:  # a rule that only a server can evaluate
        return False


def _since(at: float | None, now: float) -> tuple[bool, float | None]:
    if at is None:
        return False, None
    return (True, None) if now >= at else (False, at)


def _until(at: float | None, now: float) -> tuple[bool, float | None]:
    return (True, at) if at is not None and now < at else (False, None)
