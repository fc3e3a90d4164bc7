"""Responses out of octets: as pyasn1 wrote them, however they are cut, and garbage."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.ldap.ber import tlv
from gateway.wire.ldap.messages import (
    BindResponse,
    Control,
    ExtendedResponse,
    IntermediateResponse,
    Received,
    Response,
    Result,
    SearchDone,
    SearchEntry,
    SearchReference,
    UnknownResponse,
)
from gateway.wire.ldap.reading import Reader
from tests.directory.bad_server import alice, ber, entry, integer, message, result, text
from tests.wire.ldap.second_opinion import encoded

LIMIT = 100_000

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
oids = st.from_regex(r"1\.[1-9][0-9]{0,3}\.[1-9]", fullmatch=True)
octets = st.binary(max_size=200)
# Blanks at the end of the diagnostic message are left out.
results = st.builds(
    Result,
    st.integers(0, 5000),
    words,
    words.map(str.rstrip),
    st.lists(words.filter(bool).map("ldap://".__add__), max_size=3).map(tuple),
)
names = st.from_regex(r"[a-z][a-z0-9-]{0,8}(;x-[a-z]{1,3})?", fullmatch=True)
attributes = st.dictionaries(names, st.lists(octets, max_size=4).map(tuple), max_size=5)
responses: st.SearchStrategy[Response] = st.one_of(
    st.builds(BindResponse, results, st.none() | octets),
    st.builds(SearchEntry, words, attributes),
    st.builds(SearchDone, results),
    st.builds(SearchReference, st.lists(words, min_size=1, max_size=3).map(tuple)),
    st.builds(ExtendedResponse, results, st.just("") | oids, st.none() | octets),
    st.builds(IntermediateResponse, oids, st.none() | octets),
)
controls = st.lists(
    st.builds(Control, oids, st.booleans(), st.none() | octets), max_size=3, unique_by=str
).map(tuple)
messages = st.builds(Received, st.integers(0, 2**31 - 1), responses, controls)


def read_all(octets: bytes, cuts: list[int], limit: int = LIMIT) -> tuple[list[Received], str]:
    """What comes out, and why nothing more does: without the octets, which depend on the cut."""
    reader = Reader(limit)
    found = []
    borders = [0, *sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    for start, stop in itertools.pairwise(borders):
        found += reader.feed(octets[start:stop])
        assert reader.waiting_octets <= limit + 10
    return found, str(reader.garbage or "").partition(":")[0]


@settings(max_examples=100, deadline=None)
@given(st.lists(messages, min_size=1, max_size=4), st.lists(st.integers(0, 2000), max_size=8))
def test_what_pyasn1_writes_is_read_however_it_is_cut(
    expected: list[Received], cuts: list[int]
) -> None:
    parts = [encoded(each) for each in expected]
    found, garbage = read_all(b"".join(parts), cuts)
    assert (found, garbage) == (expected, "")
    assert [each.size_octets for each in found] == list(map(len, parts))


def test_every_cut_gives_the_same() -> None:
    stream = alice(3, jpegPhoto=[b"\0" * 300]) + result(3, 0x65, 0, "fine\0") + b"\x31garbage"
    expected = read_all(stream, [])
    assert len(expected[0]) == 2
    assert expected[1].startswith("no LDAP message")
    assert read_all(stream, list(range(len(stream)))) == expected
    for cut in range(len(stream)):
        assert read_all(stream, [cut]) == expected


@settings(max_examples=500)
@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda body: tlv(0x30, body)))
def test_L23_random_octets_are_messages_or_garbage(octets: bytes) -> None:
    """Nothing is raised, and the same comes out octet by octet."""
    assert read_all(octets, []) == read_all(octets, list(range(len(octets))))


SAMPLES = (
    alice(1, mail=["a@example.test", "b@example.test"]),
    result(1, 0x65, 10, "elsewhere", "ldap://thief/"),
    message(1, 0x78, b"\x0a\x01\x34", text(""), text("bye"), ber(0x8A, b"1.3")),
    ber(0x30, integer(1), ber(0x79, ber(0x80, b"1.3")), ber(0xA0, ber(0x30, text("1.2")))),
)


@settings(max_examples=300)
@given(st.sampled_from(SAMPLES), st.integers(0, 500), st.integers(0, 255))
def test_L23_a_changed_octet_is_a_message_or_garbage(sample: bytes, at: int, octet: int) -> None:
    octets = bytearray(sample)
    octets[at % len(octets)] = octet
    assert read_all(bytes(octets), []) == read_all(bytes(octets), list(range(len(octets))))


@settings(max_examples=200)
@given(st.binary(max_size=100), st.sampled_from([0x61, 0x64, 0x65, 0x73, 0x78, 0x79, 0x42]))
def test_L23_random_contents_are_messages_or_garbage(contents: bytes, kind: int) -> None:
    found, garbage = read_all(message(1, kind, contents), [])
    assert bool(found) is not bool(garbage)


def test_F4_what_arrives_in_drips_is_looked_at_once() -> None:
    """A message of a megabyte, octet by octet, is parsed when it is complete and not before."""
    octets = entry(1, "cn=x", {"photo": [b"\0" * 1_000_000]})
    reader = Reader(2_000_000)
    assert not any(reader.feed(octets[at : at + 1]) for at in range(50_000))
    assert reader.waiting_octets == 50_000
    (found,) = reader.feed(octets[50_000:])
    assert isinstance(found.response, SearchEntry)
    assert reader.waiting_octets == 0


@pytest.mark.parametrize(
    "head",
    [b"\x30\x84\x7f\xff\xff\xff", b"\x30\x88" + b"\xff" * 8, b"\x30\x83\x01\x86\xa1"],
    ids=["2 GiB", "16 EiB", "one too many"],
)
def test_F4_a_message_that_would_be_too_long_is_refused_at_its_head(head: bytes) -> None:
    found, garbage = read_all(head, [])
    assert found == []
    assert "at most 100000 are taken" in garbage


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n", "no LDAP message: 48 54"),
        (b"\x30\x80\x02\x01\x01", "no LDAP message: 30 80"),  # indefinite length
        (b"\x30\xff", "no LDAP message"),
        (ber(0x30), "the octets end"),
        (ber(0x30, integer(1)), "the octets end"),
        (ber(0x30, text("1"), ber(0x65)), "tag 02 expected"),
        (ber(0x30, b"\x02\x00", ber(0x65)), "an INTEGER of 0 octets"),
        (ber(0x30, b"\x02\x09" + b"\x01" * 9, ber(0x65)), "an INTEGER of 9 octets"),
        (ber(0x30, b"\x02\x01\xff", ber(0x65)), "message number -1"),
        (ber(0x30, integer(2**31), ber(0x65)), "message number 2147483648"),
        (ber(0x30, integer(1), b"\x65\x7f"), "longer than what holds it"),
        (ber(0x30, integer(1), b"\x65\x80\0\0"), "a form that LDAP does not use"),
        (ber(0x30, integer(1), b"\x7f\x81\x01\x00"), "a tag of several octets"),
        (message(1, 0x65), "the octets end"),
        (message(1, 0x64, text(b"cn=\xff"), ber(0x30)), "not UTF-8"),
        (message(1, 0x64, text("cn=x"), ber(0x31)), "tag 30 expected"),
        (ber(0x30, integer(1), ber(0x42), ber(0xA0, text("1.2"))), "a control with tag 04"),
        (message(1, 0x64, text("x"), ber(0x30, ber(0x30, text("a"), text("b")))), "tag 31"),
    ],
)
def test_garbage_is_named(octets: bytes, words: str) -> None:
    reader = Reader(LIMIT)
    assert reader.feed(octets) == []
    assert words in str(reader.garbage)


def test_behind_garbage_nothing_is_read() -> None:
    reader = Reader(LIMIT)
    assert len(reader.feed(alice(1) + b"\0")) == 1
    assert reader.garbage is not None
    assert reader.feed(alice(2)) == []
    assert reader.waiting_octets == 0


def test_lengths_need_not_be_minimal() -> None:
    """Active Directory writes all of them in four octets."""

    def long(tag: int, contents: bytes) -> bytes:
        return bytes([tag, 0x84]) + len(contents).to_bytes(4, "big") + contents

    done = long(0x0A, b"\x31") + long(4, b"") + long(4, b"80090308: data 52e, v1db1\0")
    ((received,), _) = read_all(long(0x30, long(2, b"\x07") + long(0x61, done)), [])
    expected = BindResponse(Result(49, "", "80090308: data 52e, v1db1"))
    assert received == Received(7, expected)


def test_what_later_versions_add_is_ignored() -> None:
    """RFC 4511 section 4: known fields, then anything."""
    added = ber(0x30, integer(1), ber(0x42, b""), ber(0xA1, text("new")))
    assert read_all(added, [])[0] == [Received(1, UnknownResponse(0x42))]


def test_names_of_attributes_are_lower_case_and_lose_no_values() -> None:
    octets = entry(1, "cn=x", {"Mail": ["a"], "mail": ["b"], "Member;Range=0-1": [b"\xff"]})
    response = read_all(octets, [])[0][0].response
    assert isinstance(response, SearchEntry)
    assert response.attributes == {"mail": (b"a", b"b"), "member;range=0-1": (b"\xff",)}


def test_L25_a_diagnostic_message_is_bounded() -> None:
    response = read_all(result(1, 0x65, 80, "é" * 30_000), [])[0][0].response
    assert isinstance(response, SearchDone)
    assert response.result.diagnostic == "é" * 500
