"""The port by which a directory hears whether it may still ask its servers about a password.

Owns values and shapes alone. A directory that counts failures locks people out (SECURITY L22), so
between finding an entry and binding as it there is this question; ``auth.person_budget`` answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from gateway.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class Lockout:
    """When the directory locks somebody.

    Args:
        threshold: at how many failures; 0: never.
        window_s: how long a failure is counted there; 0: until the next login that works.
    """

    threshold: int
    window_s: float


@dataclass(frozen=True, slots=True)
class PasswordState:
    """What an entry tells of its password.

    Args:
        changed: another text whenever the password is set; empty: the directory does not tell.
        failures: that the directory itself counts now, whoever caused them; None: it does not tell.
        lockout: None: nobody could say.
    """

    changed: str = ""
    failures: int | None = None
    lockout: Lockout | None = None


NOTHING_TOLD = PasswordState()


class MayAsk(Protocol):
    """About one attempt to log in."""

    async def allowed(self, account_id: AccountId, state: PasswordState = NOTHING_TOLD) -> None:
        """Called once, with the entry found, right before its password is tried. Waits for others'
        answers while they might all be failures.

        Raises:
            WrongCredentials: this very password was wrong for this person, and nothing changed.
            LoginsPaused: another failure would come too near to the lock-out.
        """
        ...
