"""Requests as octets: what pyasn1 reads out of them, and the very octets that ldap3 would send."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter
from ldap3.utils.asn1 import encode
from pyasn1.codec.ber import decoder

from gateway.wire.ldap.ber import integer, integer_at, length_of, part_at, tlv
from gateway.wire.ldap.filters import (
    And,
    AtLeast,
    Equal,
    EqualOctets,
    Extensible,
    Filter,
    FilterSyntax,
    Not,
    Present,
    Substrings,
    parse,
)
from gateway.wire.ldap.messages import (
    Abandon,
    BindRequest,
    Control,
    ExtendedRequest,
    Scope,
    SearchRequest,
    Unbind,
)
from gateway.wire.ldap.writing import write, write_control, write_filter
from tests.wire.ldap.second_opinion import decoded
from tests.wire.ldap.strategies import attributes, filters_of, hostile, texts

somethings = hostile.filter(bool)
# An empty first or last part says that the value may begin or end as it likes.
substrings = st.builds(
    lambda first, middle, last: (first, *middle, last),
    hostile,
    st.lists(somethings, max_size=2),
    hostile,
).filter(any)
leaves = st.one_of(
    st.builds(Equal, attributes, hostile),
    st.builds(EqualOctets, attributes, st.binary(max_size=20)),
    st.builds(AtLeast, attributes, hostile),
    st.builds(Present, attributes),
    st.builds(Substrings, attributes, substrings),
    st.builds(Extensible, attributes, st.sampled_from([":dn", ":1.2.3", ":dn:2.4.6"]), hostile),
)
filters = filters_of(leaves)


def as_ldap3_writes(wanted: Filter) -> bytes:
    root = parse_filter(str(wanted), None, False, False, None, False)
    return encode(compile_filter(root.elements[0]))  # type: ignore[no-any-return]


@settings(max_examples=200, deadline=None)
@given(filters)
def test_L2_filters_are_what_ldap3_makes_of_their_text(wanted: Filter) -> None:
    assert write_filter(wanted) == as_ldap3_writes(wanted)


def test_filters_by_the_octets_of_the_rfc() -> None:
    """RFC 4511 section 4.5.1, each choice by its tag."""
    equal = tlv(0xA3, tlv(4, b"uid") + tlv(4, b"a"))
    assert write_filter(parse("(uid=a)")) == equal
    assert write_filter(parse("(&(uid=a)(!(uid=a)))")) == tlv(0xA0, equal + tlv(0xA2, equal))
    assert write_filter(parse("(|(uid=a))")) == tlv(0xA1, equal)
    assert write_filter(parse("(uid=*)")) == tlv(0x87, b"uid")
    pieces = tlv(0x80, b"a") + tlv(0x81, b"b") + tlv(0x81, b"c") + tlv(0x82, b"d")
    assert write_filter(parse("(cn=a*b*c*d)")) == tlv(0xA4, tlv(4, b"cn") + tlv(0x30, pieces))
    assert write_filter(AtLeast("n", "7")) == tlv(0xA5, tlv(4, b"n") + tlv(4, b"7"))
    rule = tlv(0x81, b"2.4.6") + tlv(0x82, b"ou") + tlv(0x83, b"x") + b"\x84\x01\xff"
    assert write_filter(parse("(ou:dn:2.4.6:=x)")) == tlv(0xA9, rule)
    assert write_filter(parse("(:2.4.6:=x)")) == tlv(0xA9, tlv(0x81, b"2.4.6") + tlv(0x83, b"x"))


@pytest.mark.parametrize(
    "wanted",
    [
        Equal("uid", "\ud800"),
        Substrings("cn", ("", "")),
        Substrings("cn", ("a",)),
        Not(Substrings("cn", ())),
    ],
)
def test_what_is_no_filter_is_not_written(wanted: Filter) -> None:
    with pytest.raises(FilterSyntax):
        write_filter(wanted)


searches = st.builds(
    SearchRequest,
    texts,
    st.sampled_from(Scope),
    leaves,
    st.lists(attributes, max_size=4).map(tuple),
    st.integers(0, 2**31 - 1),
    st.integers(0, 2**31 - 1),
)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 2**31 - 1), searches)
def test_searches_are_read_by_pyasn1_as_meant(number: int, request: SearchRequest) -> None:
    message = decoded(write(number, request))
    assert message["messageID"] == number
    found = message["protocolOp"]["searchRequest"]
    assert bytes(found["baseObject"]) == request.base.encode()
    assert found["scope"] == request.scope
    assert found["derefAliases"] == 0
    assert (found["sizeLimit"], found["timeLimit"]) == (request.most, request.time_limit_s)
    assert not found["typesOnly"]
    assert encode(found["filter"]) == write_filter(request.wanted)
    assert [str(name) for name in found["attributes"]] == list(request.attributes)


def test_a_second_search_by_the_same_settings_differs_in_its_number_and_filter_alone() -> None:
    def octets(number: int, login: str) -> bytes:
        wanted = And((Present("mail"), Equal("uid", login)))
        return write(number, SearchRequest("dc=x", Scope.SUBTREE, wanted, ("uid", "mail"), 2, 8))

    assert octets(1, "alice") == octets(1, "alice")
    assert octets(2, "carol") == octets(1, "alice").replace(b"alice", b"carol").replace(
        b"\x02\x01\x01\x63", b"\x02\x01\x02\x63"
    )


@pytest.mark.parametrize("password", [b"", b"p\xc3\xa4ss\xc2\xa0\0", b"\xff\xfe not UTF-8"])
def test_L14_passwords_leave_as_they_were_typed(password: bytes) -> None:
    found = decoded(write(3, BindRequest("cn=ä", password)))["protocolOp"]["bindRequest"]
    assert found["version"] == 3
    assert bytes(found["name"]) == "cn=ä".encode()
    assert bytes(found["authentication"]["simple"]) == password


def test_sasl_binds_name_their_mechanism() -> None:
    def sasl(credentials: bytes | None) -> tuple[str, bytes | None]:
        request = BindRequest("", mechanism="EXTERNAL", credentials=credentials)
        found = decoded(write(3, request))["protocolOp"]["bindRequest"]["authentication"]["sasl"]
        given = found["credentials"]
        return str(found["mechanism"]), bytes(given) if given.isValue else None

    assert sasl(None) == ("EXTERNAL", None)
    assert sasl(b"") == ("EXTERNAL", b"")


def test_the_other_requests() -> None:
    assert write(5, Unbind()) == bytes.fromhex("3005 020105 4200")
    assert write(6, Abandon(5)) == bytes.fromhex("3006 020106 500105")
    found = decoded(write(7, ExtendedRequest("1.2.3", b"\0")))["protocolOp"]["extendedReq"]
    assert (str(found["requestName"]), bytes(found["requestValue"])) == ("1.2.3", b"\0")
    assert write(7, ExtendedRequest("1.2")) == tlv(0x30, integer(7) + tlv(0x77, tlv(0x80, b"1.2")))


@pytest.mark.parametrize(
    "control", [Control("1.2.3"), Control("1.2.3", True), Control("1.2.3", True, b"")], ids=str
)
def test_controls_are_read_by_pyasn1_as_meant(control: Control) -> None:
    message = decoded(write(7, Unbind(), [control, Control("1.9")]))
    first, second = message["controls"]
    assert str(first["controlType"]) == control.oid
    assert bool(first["criticality"]) is control.critical
    assert (bytes(first["controlValue"]) if first["controlValue"].isValue else None) == (
        control.value
    )
    assert str(second["controlType"]) == "1.9"
    assert len(write_control(Control("1.9"))) == 7  # what has its default is left out


@given(st.integers(-(2**63), 2**63 - 1))
def test_integers_come_back(number: int) -> None:
    octets = integer(number)
    assert decoder.decode(octets) == (number, b"")
    tag, start, stop = part_at(octets, 0, len(octets))
    assert (tag, integer_at(octets, start, stop)) == (2, number)
    assert stop - start == next(
        size for size in range(1, 9) if -(256**size) <= 2 * number < 256**size
    )


@pytest.mark.parametrize("length", [0, 127, 128, 255, 256, 65535, 65536, 2**24, 2**31])
def test_lengths_are_minimal(length: int) -> None:
    octets = length_of(length)
    size = (length.bit_length() + 7) // 8
    long = bytes([0x80 | size]) + length.to_bytes(size, "big")
    assert octets == (bytes([length]) if length < 128 else long)


def test_F3_secrets_are_not_in_the_repr() -> None:
    bind = BindRequest("cn=x", b"s3cret", "PLAIN", b"s3cret")
    assert "s3cret" not in repr(bind) + repr(ExtendedRequest("1.2", b"s3cret"))
