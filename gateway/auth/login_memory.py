"""What processes share of failed logins, and under which names it is kept there.

Owns the values and the keys: numbers by keyed hashes, never a name or a password. Who may be asked
about is ``throttle``'s and ``person_budget``'s.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

from gateway.auth.login_names import counted_name
from gateway.core.login_reasons import LoginReason
from gateway.core.shared_counters import Rate, SharedCounters
from gateway.core.shared_marks import SharedMarks

# What is remembered of a password; the smallest is the first to make room. Between them: wrong, for
# a reason.
RIGHT, ASKING = 1, 0xFFF
_REASONS = tuple(LoginReason)
_FIRST_WRONG = RIGHT + 1
PROVEN = 0x100


@dataclass(frozen=True, slots=True)
class Bounds:
    """See ``[login]`` of the settings.

    Args:
        asked_window_s: a count of failures ends so long after the last one, as directories do it.
    """

    failures_per_minute: int = 10
    failures_per_day: int = 50
    asked_per_login: int = 4
    asked_window_s: float = 1800.0


@dataclass(frozen=True, slots=True)
class LoginMemory:
    """Where all processes count.

    Args:
        answers: what the directory said of passwords.
        tallies: failures by login.
        known: where logins worked.
    """

    counters: SharedCounters
    answers: SharedMarks
    tallies: SharedMarks
    known: SharedMarks


@dataclass(slots=True)
class Attempt:
    """One login on its way, from its turn to its end.

    Args:
        networks: it counts for, narrow to wide; none for those who are exempt.
        whose: under what the login is counted.
        guessed: it could be; certificates and tokens are not.
        ours: it is an app password, which no directory sees.
        password: under what its password is remembered; empty for other kinds of proof.
        reserved: it takes one of the failures that strangers may cause.
    """

    login: str
    networks: tuple[str, ...]
    whose: bytes
    guessed: bool
    ours: bool = False
    password: bytes = field(default=b"", repr=False)
    reserved: bool = False


def wrong_for(reason: LoginReason, *, proven: bool) -> int:
    """What is remembered of a password that was refused."""
    return _FIRST_WRONG + _REASONS.index(reason) | (PROVEN if proven else 0)


def refused_for(said: int) -> tuple[LoginReason, bool] | None:
    """The reason that a number of ``wrong_for`` stands for, and whether it came to the right
    password; None for other numbers."""
    index = (said & ~PROVEN) - _FIRST_WRONG
    if said == ASKING or not 0 <= index < len(_REASONS):
        return None
    return _REASONS[index], bool(said & PROVEN)


def hashable(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")


def counted(login: str) -> bytes:
    return blake2b(hashable(counted_name(login)), digest_size=16).digest()


def place(whose: bytes, networks: tuple[str, ...]) -> bytes:
    return whose + networks[-1].encode()


def of_network(network: str, rate: Rate) -> str:
    return f"logins {rate.per_s:g} {network}"


def of_login(attempt: Attempt, rate: Rate) -> str:
    return f"logins {rate.per_s:g} {attempt.networks[-1]} {attempt.whose.hex()}"
