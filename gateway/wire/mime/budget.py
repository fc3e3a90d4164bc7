"""How much work one message may cause, counted, so that no message can hold a thread.

Owns the limits and the counters of one scan; never measures time: the same message always gets the
same answer. What lies past a hard limit makes the whole message opaque (SECURITY M6).
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_DEPTH = 100
"""Nested multiparts and message/rfc822 (Dovecot's and Postfix's cap, SECURITY M1)."""

MAX_PARTS = 10_000
"""Parts of one message (Dovecot's cap, SECURITY M1)."""

MAX_FIELDS = 200_000
"""Header fields of all parts together; real messages stay below a few hundred."""

MAX_DELIMITER_CANDIDATES = 1_000_000
"""Lines that begin like a boundary delimiter and have to be looked at one by one."""

MAX_RENDERED_OCTETS = 4 * 1024 * 1024
"""Octets of a BODYSTRUCTURE; the envelope of a wrapped message can be as long as the message."""

MAX_FIELD_OCTETS = 262_144
"""Octets of one header field that are looked at; the rest is served but not interpreted (M2)."""

MAX_PARAMETERS = 128
"""Parameters of one field, empty and broken ones counted too (SECURITY F5, M2)."""

MAX_ADDRESSES = 10_000
"""Addresses and group marks in all envelopes of one message together; the rest is left out."""

MAX_ADDRESSES_PER_FIELD = 2_000
"""Addresses and group marks of one envelope field; the rest is left out."""


class Overrun(Exception):
    """A hard limit is passed. The text says which, for the administrator."""


@dataclass(slots=True)
class Budget:
    """What is left for one message. Each ``spend_…`` raises Overrun once nothing is."""

    parts: int = MAX_PARTS
    fields: int = MAX_FIELDS
    candidates: int = MAX_DELIMITER_CANDIDATES
    addresses: int = MAX_ADDRESSES
    rendered: int = MAX_RENDERED_OCTETS

    def spend_part(self) -> None:
        self.parts -= 1
        if self.parts < 0:
            raise Overrun(f"more than {MAX_PARTS} parts")

    def spend_fields(self, count: int) -> None:
        self.fields -= count
        if self.fields < 0:
            raise Overrun(f"more than {MAX_FIELDS} header fields")

    def spend_candidate(self) -> None:
        self.candidates -= 1
        if self.candidates < 0:
            raise Overrun(f"more than {MAX_DELIMITER_CANDIDATES} lines like boundary delimiters")

    def spend_rendered(self, octets: int) -> None:
        self.rendered -= octets
        if self.rendered < 0:
            raise Overrun(f"more than {MAX_RENDERED_OCTETS} octets to say of its parts")
