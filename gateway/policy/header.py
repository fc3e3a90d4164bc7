"""The check ``header``: a header field with a certain value.

Owns the comparison, which is linear in the value whatever the pattern: the pieces between the stars
are looked for one after the other, and nothing is ever tried twice at a star. (Regular expressions
of Python's kind can be made to run for years by whoever writes the value.) Encoded words are
decoded, case does not matter.

Limits: the header's first MAX_HEADER octets, MAX_FIELDS fields of the name, MAX_VALUE octets of
each.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from twisted.internet.defer import Deferred

from gateway.core.errors import GatewayError
from gateway.policy.checks import Answer
from gateway.policy.facts import Content, Facts
from gateway.policy.ground import Ground
from gateway.policy.verdicts import Action, Stage
from gateway.wire.mime.charset import decode_unstructured
from gateway.wire.mime.headers import iter_fields, unfold

MAX_HEADER = 1024 * 1024
MAX_FIELDS = 100
MAX_VALUE = 4096
PIECE = 65_536


def matcher(pattern: str) -> Callable[[str], bool]:
    """Compares a whole text with a pattern: ``*`` is any text, ``?`` any character."""
    first, *others = [
        re.compile(re.escape(piece).replace(r"\?", "."), re.DOTALL)
        for piece in pattern.casefold().split("*")
    ]
    if not others:
        return lambda text: first.fullmatch(text.casefold()) is not None
    *middle, last = others
    last_length = len(pattern.rpartition("*")[2].casefold())

    def matches(text: str) -> bool:
        text = text.casefold()
        found = first.match(text)
        if found is None:
            return False
        at = found.end()
        for piece in middle:
            found = piece.search(text, at)  # the first place is as good as any later one
            if found is None:
                return False
            at = found.end()
        end = len(text) - last_length
        return end >= at and last.match(text, end) is not None

    return matches


class HeaderCheck:
    """One field, one pattern.

    Args:
        text: for the refused; empty: a general one.
    """

    stages = frozenset((Stage.CONTENT,))

    def __init__(
        self, ground: Ground, field: str, pattern: str, action: Action, text: str = ""
    ) -> None:
        self._ground = ground
        self._field = field.lower().encode("ascii")
        self._pattern = pattern
        self._matches = matcher(pattern)
        self._action = action
        self._text = text
        self.name = ground.name
        self.defers_on_trouble = ground.defers_on_trouble

    def judge(self, stage: Stage, facts: Facts) -> Answer | Deferred[Answer]:
        if facts.content is None or self._ground.leaves_out(facts.client):
            return None
        return Deferred.fromCoroutine(self._look(facts.content))

    async def _look(self, content: Content) -> Answer:
        field = self._field.decode("ascii")
        try:
            header = await read_header(content)
        except GatewayError as error:
            return self._ground.trouble(f"the message cannot be read: {error}", {"field": field})
        seen = 0
        for each in iter_fields(header):
            if each.name != self._field:
                continue
            octets = header[each.value_start : each.value_end][:MAX_VALUE]
            value = decode_unstructured(unfold(octets))
            if self._matches(value):
                return self._ground.verdict(
                    self._action,
                    f"{field} is like {self._pattern}",
                    {"field": field, "value": value, "pattern": self._pattern},
                    text=self._text,
                )
            seen += 1
            if seen == MAX_FIELDS:
                break
        return None


async def read_header(content: Content) -> bytes:
    """The message as far as its header reaches. Raises: StoreUnavailable."""
    header = b""
    while len(header) < min(content.size_octets, MAX_HEADER):
        piece = await content.read(len(header), PIECE)
        if not piece:
            break
        border = max(0, len(header) - 3)
        header += piece
        end = header.find(b"\r\n\r\n", border)
        if end >= 0:
            return header[: end + 2]
        if header.startswith(b"\r\n"):
            return b""
    return header
