"""Whose turn it is: the order in which mail of many senders goes, so that none has it all.

Owns the flows (who a message comes from, as far as fairness is concerned) and their turns. A turn
is a time in milliseconds. A message gets the present one; each further message of the same flow for
the same destination gets one that lies ``STEP_MS`` behind the last, so one sender's hundred
thousand messages lie behind another's one. Destinations stand in line by turns as well, and there
each further destination of a flow steps back by ``LINE_STEP_MS``. Turns order what could go at the
same moment; nothing ever waits for its turn to come.

Limits: FLOWS remembered per process, the longest quiet are forgotten; a turn lies at most AHEAD_MS
ahead, so mail of any flow comes to its place in the end.
"""

from __future__ import annotations

import re
from typing import TypeVar

from gateway.core.address import Address

STEP_MS = 10_000
LINE_STEP_MS = 1_000
AHEAD_MS = 2 * 86_400_000
FLOWS = 20_000
_SIGNED = re.compile(r"(?:ms)?prvs\d?=[^=/]*[=/]")  # BATV: the sender's name comes behind it
_ODD = re.compile(r"[+=]|-\d")  # none of it: most senders
_TAG = re.compile(r"[+=]|-(?=\d)")

K = TypeVar("K")


def flow_of(sender: Address | None, account_id: str = "") -> str:
    """Who submitted; else the envelope sender without what differs from message to message (a
    subaddress, a VERP recipient, a bounce number)."""
    if account_id:
        return account_id
    if sender is None:
        return ""
    local = sender.local_part.casefold()
    if _ODD.search(local) is None:
        return f"{local}@{sender.domain}"
    signed = _SIGNED.match(local)
    if signed is not None:
        local = local[signed.end() :]
    name, *tag = _TAG.split(local, maxsplit=1)
    if tag and "=" in local:  # list-user=domain: the person's name may begin behind a hyphen
        name = name.partition("-")[0]
    return f"{name or local}@{sender.domain}"


class Turns:
    """Gives turns; one thread's."""

    def __init__(self) -> None:
        self._messages: dict[tuple[str, str], int] = {}
        self._lines: dict[str, int] = {}

    def take(self, flow: str, destination: str, now_ms: int) -> tuple[int, int]:
        """The turn of one more message of a flow in its destination, and of the destination."""
        key = (flow, destination)
        last = self._messages.get(key)
        turn = _follow(self._messages, key, now_ms, STEP_MS)
        if last is None or last < now_ms:
            return turn, _follow(self._lines, flow, now_ms, LINE_STEP_MS)
        return turn, max(now_ms, self._lines.get(flow, now_ms))


def _follow(turns: dict[K, int], key: K, now_ms: int, step_ms: int) -> int:
    last = turns.pop(key, None)
    # A clock that was set back puts nobody off for longer.
    turn = now_ms if last is None else min(max(now_ms, last + step_ms), now_ms + AHEAD_MS)
    turns[key] = turn  # at the end, so the first ones are the longest quiet
    if len(turns) > FLOWS:
        for quiet in list(turns)[: FLOWS // 4]:
            del turns[quiet]
    return turn
