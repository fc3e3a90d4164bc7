"""What a session keeps of the person who sends by it, and of the message that comes in.

Values that ``submission`` works with; made when they are first needed, as most sessions need none.
"""

from __future__ import annotations

from gateway.policy.senders import Names
from gateway.wire.submission.header import HeaderFilter

Fields = tuple[tuple[bytes, ...], ...]
"""Raw values of From, Sender, Resent-From and Resent-Sender."""


class Submitter:
    """Who has logged in, and what was found out about the names they use."""

    __slots__ = ("names", "settled")

    def __init__(self, names: Names) -> None:
        self.names = names
        self.settled: dict[Fields, bytes] = {}  # and the Sender to be added


class Outgoing:
    """The message that is coming in; ``added`` goes on top of it, with ``message_id`` if it had
    none."""

    __slots__ = ("added", "filter", "message_id")

    def __init__(self, header_filter: HeaderFilter) -> None:
        self.filter = header_filter
        self.added = b""
        self.message_id = ""
