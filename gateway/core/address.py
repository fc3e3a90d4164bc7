"""The mail address as a value. Parsing and its grammar live in ``wire.address``.

Never validates: whoever builds an Address has parsed it. The null reverse-path ``<>`` is ``None``,
never an Address with empty parts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# RFC 5321 section 4.1.2: Local-part = Dot-string / Quoted-string; anything else must be quoted.
# Octets from 0x80 on are UTF8-non-ascii (RFC 6531 section 3.3).
_DOT_STRING = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+"
    r"(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+)*\Z"
)


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox name as RFC 5321 section 4.1.2 knows it.

    Args:
        local_part: text without surrounding quotes and without quoted pairs.
        domain: lower case, no trailing dot; a literal keeps its brackets (``[192.0.2.1]``);
            empty only for the bare ``postmaster`` of RFC 5321 section 4.5.1.
    """

    local_part: str
    domain: str

    def __str__(self) -> str:
        """The form for the wire, without angle brackets, quoted where the grammar asks for it."""
        local = self.local_part
        if not _DOT_STRING.match(local):
            escaped = local.replace("\\", "\\\\").replace('"', '\\"')
            local = f'"{escaped}"'
        return f"{local}@{self.domain}" if self.domain else local

    @property
    def key(self) -> str:
        """The form in which two spellings of one person's address are equal (case folded)."""
        return f"{self.local_part}@{self.domain}".casefold()


def path(address: Address | None) -> str:
    """An address in angle brackets as SMTP writes it; ``<>`` for the null reverse-path."""
    return f"<{address}>" if address is not None else "<>"
