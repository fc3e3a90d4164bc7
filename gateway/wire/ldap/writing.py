"""Requests as octets (RFC 4511 sections 4.2 to 4.12), and filters in their own form.

Owns the cheap way: whatever stays the same from one search to the next (base, scope, limits,
attributes) is written once and kept, so that a lookup costs its filter and its message number.
What holds passwords is never kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from gateway.wire.ldap.ber import (
    ENUMERATED,
    OCTET_STRING,
    SEQUENCE,
    boolean,
    integer,
    length_of,
    tlv,
)
from gateway.wire.ldap.filters import (
    And,
    AtLeast,
    Equal,
    EqualOctets,
    Extensible,
    Filter,
    FilterSyntax,
    Not,
    Or,
    Present,
    Substrings,
)
from gateway.wire.ldap.messages import (
    Abandon,
    BindRequest,
    Control,
    ExtendedRequest,
    Request,
    SearchRequest,
    Unbind,
)

T = TypeVar("T")

_BIND, _UNBIND, _SEARCH, _ABANDON, _EXTENDED = 0x60, 0x42, 0x63, 0x50, 0x77
_CONTROLS = 0xA0
_SIMPLE, _SASL = 0x80, 0xA3
_VERSION = integer(3)
_NEVER_DEREFERENCE = integer(0, ENUMERATED)
_KEPT_SEARCHES = 256
_MAX_INT = 2**31 - 1
"""RFC 4511 section 4.1.1.1."""


def write(message_id: int, request: Request, controls: Sequence[Control] = ()) -> bytes:
    """One LDAPMessage.

    Raises:
        FilterSyntax: a search's filter cannot be written.
    """
    operation = _WRITERS[type(request)](request)
    envelope = integer(message_id) + operation
    if controls:
        envelope += tlv(_CONTROLS, b"".join(map(write_control, controls)))
    return b"0%b%b" % (length_of(len(envelope)), envelope)


def write_control(control: Control) -> bytes:
    """Section 4.1.11; what has its default is left out (section 5.1)."""
    contents = tlv(OCTET_STRING, control.oid.encode("ascii"))
    if control.critical:
        contents += boolean(True)
    if control.value is not None:
        contents += tlv(OCTET_STRING, control.value)
    return tlv(SEQUENCE, contents)


# --- requests ------------------------------------------------------------------------------------


def _write_bind(request: BindRequest) -> bytes:
    if request.mechanism:
        choice = tlv(OCTET_STRING, request.mechanism.encode("ascii"))
        if request.credentials is not None:
            choice += tlv(OCTET_STRING, request.credentials)
        authentication = tlv(_SASL, choice)
    else:
        authentication = tlv(_SIMPLE, request.password)
    return tlv(_BIND, _VERSION + tlv(OCTET_STRING, request.dn.encode("utf-8")) + authentication)


def _write_search(request: SearchRequest) -> bytes:
    head = _search_head(request.base, request.scope, request.most, request.time_limit_s)
    wanted = write_filter(request.wanted)
    attributes = _attributes(request.attributes)
    length = length_of(len(head) + len(wanted) + len(attributes))
    return b"\x63%b%b%b%b" % (length, head, wanted, attributes)


@lru_cache(_KEPT_SEARCHES)
def _search_head(base: str, scope: int, most: int, time_limit_s: int) -> bytes:
    return b"".join(
        (
            tlv(OCTET_STRING, base.encode("utf-8")),
            integer(scope, ENUMERATED),
            _NEVER_DEREFERENCE,
            integer(min(most, _MAX_INT)),
            integer(min(time_limit_s, _MAX_INT)),
            boolean(False),  # typesOnly
        )
    )


@lru_cache(_KEPT_SEARCHES)
def _attributes(names: tuple[str, ...]) -> bytes:
    return tlv(SEQUENCE, b"".join(tlv(OCTET_STRING, name.encode("utf-8")) for name in names))


def _write_extended(request: ExtendedRequest) -> bytes:
    contents = tlv(0x80, request.oid.encode("ascii"))
    if request.value is not None:
        contents += tlv(0x81, request.value)
    return tlv(_EXTENDED, contents)


_WRITERS: dict[type, Callable[[Any], bytes]] = {
    SearchRequest: _write_search,
    BindRequest: _write_bind,
    ExtendedRequest: _write_extended,
    Unbind: lambda request: b"\x42\x00",
    Abandon: lambda request: integer(request.message_id, _ABANDON),
}


# --- filters (section 4.5.1.7) -------------------------------------------------------------------


def write_filter(wanted: Filter) -> bytes:
    """Raises: FilterSyntax."""
    try:
        return _FILTERS[type(wanted)](wanted)
    except UnicodeEncodeError:
        raise FilterSyntax("a value that is no text") from None


def _assertion(tag: int) -> Callable[[Any], bytes]:
    """AttributeValueAssertion (section 4.1.6)."""

    def written(item: Equal | AtLeast) -> bytes:
        return tlv(tag, _name(item.attribute) + tlv(OCTET_STRING, item.value.encode("utf-8")))

    return written


@lru_cache(_KEPT_SEARCHES)
def _name(attribute: str) -> bytes:
    return tlv(OCTET_STRING, attribute.encode("ascii"))


def _set_of(tag: int) -> Callable[[Any], bytes]:
    def written(group: And | Or) -> bytes:
        return tlv(tag, b"".join([_FILTERS[type(each)](each) for each in group.operands]))

    return written


def _write_substrings(item: Substrings) -> bytes:
    """Empty parts in the middle say nothing; one part at least is left (RFC 4515 section 3)."""
    last = len(item.parts) - 1
    pieces = [
        tlv(0x80 if at == 0 else 0x82 if at == last else 0x81, part.encode("utf-8"))
        for at, part in enumerate(item.parts)
        if part
    ]
    if not pieces or last == 0:
        raise FilterSyntax("a substring filter needs a part and a star")
    return tlv(0xA4, _name(item.attribute) + tlv(SEQUENCE, b"".join(pieces)))


def _write_extensible(item: Extensible) -> bytes:
    """``rule`` is ``:dn:oid`` or either half of it (RFC 4515 section 3)."""
    rule = item.rule.removeprefix(":dn") if _of_dn(item.rule) else item.rule
    contents = tlv(0x81, rule.removeprefix(":").encode("ascii")) if rule else b""
    if item.attribute:
        contents += tlv(0x82, item.attribute.encode("ascii"))
    contents += tlv(0x83, item.value.encode("utf-8"))
    if _of_dn(item.rule):
        contents += boolean(True, 0x84)
    return tlv(0xA9, contents)


def _of_dn(rule: str) -> bool:
    return rule == ":dn" or rule.startswith(":dn:")


_FILTERS: dict[type, Callable[[Any], bytes]] = {
    And: _set_of(0xA0),
    Or: _set_of(0xA1),
    Not: lambda item: tlv(0xA2, _FILTERS[type(item.operand)](item.operand)),
    Equal: _assertion(0xA3),
    EqualOctets: lambda item: tlv(0xA3, _name(item.attribute) + tlv(OCTET_STRING, item.value)),
    Substrings: _write_substrings,
    AtLeast: _assertion(0xA5),
    Present: lambda item: tlv(0x87, item.attribute.encode("ascii")),
    Extensible: _write_extensible,
}
