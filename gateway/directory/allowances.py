"""What an attribute of the directory says about how much a person may keep.

Owns the ways in which that is written: octets as a number, with K, M, G or T (of 1,024) behind it
if wanted, and the words of qmail and Maildir++, ``1000000S,1000C`` (octets and messages), in one
value or in several. 0, and qmail's NOQUOTA, is "no bound". Never judges: what is no quota comes
back as the text it was, and the default holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gateway.core.log_text import shown
from gateway.core.quota import NOTHING_SAID, Allowance

MOST = 2**60
_WORD = re.compile(r"([0-9]{1,18})(?:([KMGT]?)(?:I?B|S)?|(C))\Z", re.IGNORECASE | re.ASCII)
_FACTORS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def allowance_from(values: Sequence[bytes], unit_octets: int = 1) -> Allowance:
    """The allowance in an attribute's values; none at all says nothing.

    Args:
        unit_octets: of a number that stands alone.
    """
    if not values:
        return NOTHING_SAID
    octets: set[int] = set()
    messages: set[int] = set()
    # In one order, as values have none (RFC 4511 section 4.1.7) and the text names a complaint.
    text = b",".join(sorted(value[:200] for value in values[:10])).decode("utf-8", "replace")
    for word in text.split(","):
        if word.strip().upper() == "NOQUOTA":
            octets.add(0)
            messages.add(0)
            continue
        found = _WORD.match(word.strip())
        if found is None:
            return Allowance(unreadable=shown(text))
        number, factor, counts = found.groups()
        if counts:
            messages.add(min(int(number), MOST))
        else:
            unit = unit_octets if word.strip().isdigit() else _FACTORS[factor.upper()]
            octets.add(min(int(number) * unit, MOST))
    if len(octets) > 1 or len(messages) > 1:
        return Allowance(unreadable=shown(text))
    return Allowance(next(iter(octets), None), next(iter(messages), None))
