"""Where refreshing goes on after a pause, a restart or a change of leaders, as a text.

Owns the form of ``SourceState.cursor``. A text that is not understood, such as one of a later
version, means that there is none: the directory is listed again, and nothing is lost by that.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

VERSION = 1


@dataclass(frozen=True, slots=True)
class Cursor:
    """Args:
    way: the strategy whose ``position`` this is.
    fingerprint: of the source as it was asked (``Source.fingerprint``).
    position: in the strategy's own words.
    held: people and groups that a stop keeps in the picture; 0: nothing has stopped.
    strict: the stop followed from other settings, so that nobody leaves without a word.
    checked_at: Unix time of the last look for those who are gone, where changes do not tell.
    unchecked: something has changed since.
    left: how many have left since ``left_since``, a Unix time.
    """

    way: str
    fingerprint: str
    position: Mapping[str, str] = field(default_factory=dict)
    held: int = 0
    strict: bool = False
    checked_at: int = 0
    unchecked: bool = False
    left: int = 0
    left_since: int = 0

    def __str__(self) -> str:
        return json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True)

    @staticmethod
    def parse(text: str) -> Cursor | None:
        """What ``str`` made; None for anything else."""
        try:
            match json.loads(text):
                case {
                    "version": 1,
                    "way": str(way),
                    "fingerprint": str(fingerprint),
                    "position": dict(position),
                    "held": int(held),
                    "strict": bool(strict),
                    "checked_at": int(checked_at),
                    "unchecked": bool(unchecked),
                    "left": int(left),
                    "left_since": int(left_since),
                }:
                    words = {str(key): str(value) for key, value in position.items()}
                    return Cursor(
                        way,
                        fingerprint,
                        words,
                        held,
                        strict,
                        checked_at,
                        unchecked,
                        left,
                        left_since,
                    )
        except (ValueError, RecursionError):
            pass
        return None
