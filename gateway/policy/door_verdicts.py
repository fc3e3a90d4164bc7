"""What the door itself finds out about a client, in the words of a policy, for the record.

Values only: the door decides and replies, and notes one of these with the connection's visit.
"""

from __future__ import annotations

from gateway.policy.verdicts import Action, Verdict


def early_talker(pause_s: float) -> Verdict:
    """It did not wait for the greeting (SECURITY S21)."""
    return Verdict(
        Action.REJECT,
        "early_talker",
        "sent something before the greeting",
        {"greet_pause_s": f"{pause_s:g}"},
        status="5.0",
    )


def too_many_errors(errors: int) -> Verdict:
    """One refused command after the other (SECURITY S24)."""
    return Verdict(
        Action.DEFER, "too_many_errors", "too many refused commands", {"errors": str(errors)}
    )
