"""MTA-STS records and policies: what is one, what is none, and which hosts it allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.sts import (
    MAX_AGE_S,
    MAX_POLICY_OCTETS,
    Mode,
    Policy,
    PolicyMalformed,
    read_policy,
    read_record,
)

TEXT = b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\nmax_age: 604800\n"


@pytest.mark.parametrize(
    "texts, found",
    [
        (["v=STSv1; id=20160831085700Z;"], "20160831085700Z"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1 ; id=a1 ; x=y"], "a1"),
        (["v=spf1 -all", "v=STSv1; id=a"], "a"),
        ([], None),
        (["v=STSv1; id=a", "v=STSv1; id=b"], None),
        (["v=STSv1"], None),
        (["v=STSv1;"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=a_b"], None),
        (["v=STSv1; id=" + "a" * 33], None),
        (["v=STSv1; id=a; id=b"], None),
        (["v=STSv1; id=a; nonsense"], None),
        (["v=STSv1; x=y"], None),
        (["V=STSv1; id=a"], None),
        (["v=STSv12; id=a"], None),
        ([" v=STSv1; id=a"], None),
    ],
)
def test_a_domain_announces_a_policy_by_exactly_one_faultless_record(
    texts: list[str], found: str | None
) -> None:
    assert read_record(texts) == found


@pytest.mark.parametrize("text", [TEXT, TEXT.replace(b"\n", b"\r\n"), TEXT.rstrip(b"\n")])
def test_a_policy_is_read_with_either_line_end(text: bytes) -> None:
    policy = read_policy(text)
    assert policy == Policy(Mode.ENFORCE, ("mail.example.com", "*.example.net"), 604800)
    assert policy.lines == tuple(TEXT.decode().splitlines())


def test_unknown_keys_are_left_out_and_the_first_of_equal_ones_counts() -> None:
    text = TEXT + "x-note: grüße\nmode: none\nmax_age: 1\n".encode()
    assert read_policy(text) == read_policy(TEXT)


def test_max_age_is_bounded_by_a_year() -> None:
    assert read_policy(TEXT.replace(b"604800", b"9999999999")).max_age_s == MAX_AGE_S


def test_a_policy_that_says_none_needs_no_hosts() -> None:
    assert read_policy(b"version: STSv1\nmode: none\nmax_age: 86400").mode is Mode.NONE


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html></html>",
        TEXT.replace(b"STSv1", b"STSv2"),
        TEXT.replace(b"version: STSv1\n", b""),
        b"mode: enforce\n" + TEXT,
        TEXT.replace(b"enforce", b"Enforce"),
        TEXT.replace(b"mode: enforce\n", b""),
        TEXT.replace(b"604800", b""),
        TEXT.replace(b"604800", b"-1"),
        TEXT.replace(b"604800", b"12345678901"),
        TEXT.replace(b"mail.", b"*.*."),
        TEXT.replace(b"mail.example.com", b"a b"),
        TEXT.replace(b"mail.example.com", b"*"),
        TEXT.replace(b"mail.example.com", b"ma*il.example.com"),
        b"version: STSv1\nmode: testing\nmax_age: 86400",
        TEXT + b"no colon",
        TEXT + b"\xff: \xff",
        TEXT + b"x: " + b"y" * MAX_POLICY_OCTETS,
        TEXT + b"mx: a.example\n" * 500,
    ],
)
def test_anything_else_is_no_policy(text: bytes) -> None:
    with pytest.raises(PolicyMalformed):
        read_policy(text)


@pytest.mark.parametrize(
    "host, allowed",
    [
        ("mail.example.com", True),
        ("mail.example.com.", True),
        ("other.example.com", False),
        ("mx.example.net", True),
        ("a.mx.example.net", False),
        ("example.net", False),
        (".example.net", True),  # no name that DNS can give
        ("evilexample.net", False),
    ],
)
def test_a_wildcard_stands_for_one_label(host: str, allowed: bool) -> None:
    assert read_policy(TEXT).allows(host) is allowed


@given(st.binary(max_size=300))
def test_whatever_comes_is_a_policy_or_none(octets: bytes) -> None:
    try:
        policy = read_policy(octets)
    except PolicyMalformed:
        return
    assert read_policy("\n".join(policy.lines).encode()) == policy


_HOSTS = st.from_regex(r"(?:\*\.)?[a-z0-9]{1,8}(?:\.[a-z0-9]{1,8}){1,3}", fullmatch=True)


@given(st.sampled_from(Mode), st.lists(_HOSTS, min_size=1, max_size=9), st.integers(0, MAX_AGE_S))
def test_what_reports_show_of_a_policy_reads_back(
    mode: Mode, hosts: list[str], max_age_s: int
) -> None:
    policy = Policy(mode, tuple(hosts), max_age_s)
    assert read_policy("\r\n".join(policy.lines).encode()) == policy


@given(st.lists(st.text(max_size=60), max_size=3))
def test_records_of_any_octets_raise_nothing(texts: list[str]) -> None:
    assert read_record([*texts, "v=STSv1; id=a"]) in (None, "a")
