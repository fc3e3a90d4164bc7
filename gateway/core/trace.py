"""What happened to a connection or message, as it is kept for ``gateway trace``.

Values, and the form in which what is looked for equals what was kept. Never holds a password, a
token or content of a message.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from gateway.core.hosts import parse_ip

FieldValue = str | int | float | bool | None | list[str] | list[dict[str, str]]

MAX_KEY = 64
"""Characters; longer keys are kept as a digest, which finds them as well."""
MAX_KEYS = 4096
"""Of one record; it is not found by those behind them."""

_NOTHING: Mapping[str, FieldValue] = {}


class TraceRecord(NamedTuple):
    """One step; a tuple, as every message makes one, and a dataclass would take five times as long.

    Args:
        trace_id: of the message, or of the connection where there is no message yet. A message's
            id is its connection's id, a hyphen and a number, so one leads to the other.
        at: Unix time.
        kind: ``refused``, ``accepted``, ``attempt``, ``delivered``, ``bounced``…
        keys: what else it is found by, each made by ``search_key``: Message-ID, addresses, peer
            IP, queue id.
        fields: what is shown. Whoever keeps it cuts what is too long, and says so in it.
    """

    trace_id: str
    at: float
    kind: str
    keys: tuple[str, ...] = ()
    fields: Mapping[str, FieldValue] = _NOTHING


def search_key(text: str) -> str:
    """An address (also in angle brackets), Message-ID, IP address or id in the form in which it is
    kept and looked for: folded, short, without control characters; empty for ``<>``."""
    key = text.strip(" <>").casefold()
    if len(key) > MAX_KEY or not key.isprintable():
        digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12)
        return f"#{digest.hexdigest()}"
    return key


def looked_for(text: str) -> str:
    """What somebody typed, or copied with the brackets in which a reply has an id, as a key."""
    text = text.strip(" ")
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    ip = parse_ip(text)
    return search_key(text if ip is None else str(ip))
