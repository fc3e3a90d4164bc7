"""What an entry says of where its person's mail goes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from gateway.core.account import Elsewhere
from gateway.core.address import Address
from gateway.directory.elsewhere import elsewhere_from
from gateway.directory.entries import Entry, account_from
from gateway.directory.presets.openldap import OPENLDAP


def read(**attributes: Sequence[bytes]) -> Elsewhere | None:
    return elsewhere_from({name.lower(): each for name, each in attributes.items()}, OPENLDAP)


def test_nothing_said_is_nothing() -> None:
    assert read() is None
    assert read(mailHost=[]) is None


@pytest.mark.parametrize(
    "value, host, next_hop",
    [
        (b"Old.Example.com", "old.example.com", "smtp://old.example.com:25"),
        (b"old.example.com.", "old.example.com", "smtp://old.example.com:25"),
        (b"old.example.com:2525", "old.example.com", "smtp://old.example.com:2525"),
        (b"[2001:db8::1]", "2001:db8::1", "smtp://[2001:db8::1]:25"),
        (b"lmtp://store.example.com", "store.example.com", "lmtp://store.example.com:24"),
        (
            b"smtp://old.example.com?tls=required",
            "old.example.com",
            "smtp://old.example.com:25?tls=required",
        ),
    ],
)
def test_a_host_or_a_url_names_the_server(value: bytes, host: str, next_hop: str) -> None:
    assert read(mailHost=[value]) == Elsewhere(host, next_hop)


def test_the_address_is_as_it_is_written() -> None:
    assert read(mailRoutingAddress=[b"B.Obb@Old.example"]) == Elsewhere(
        address=Address("B.Obb", "old.example")
    )
    both = read(mailHost=[b"old.example.com"], mailRoutingAddress=[b"b@x.example"])
    assert both == Elsewhere(
        "old.example.com", "smtp://old.example.com:25", Address("b", "x.example")
    )


@pytest.mark.parametrize(
    "values",
    [
        [b"a.example", b"b.example"],
        [b""],
        [b"x y"],
        [b"http://x"],
        [b"smtp://user@x.example"],
        [b"lmtp+unix:///run/docker.sock"],
        [b"\xff"],
        [b"a\r\nb"],
        [b"x" * 400],
    ],
)
def test_L25_what_is_no_server_is_trouble(values: list[bytes]) -> None:
    found = read(mailHost=values)
    assert found is not None
    assert found.trouble
    assert not found.next_hop


@pytest.mark.parametrize("values", [[b"nobody"], [b"a@b.example", b"c@d.example"], [b"<a@b>"]])
def test_L25_what_is_no_address_is_trouble(values: list[bytes]) -> None:
    found = read(mailRoutingAddress=values)
    assert found is not None
    assert found.trouble


def test_the_person_has_it_and_searches_bring_it() -> None:
    entry = Entry("uid=bob", {"uid": [b"bob"], "entryuuid": [b"1"], "mailhost": [b"old.example"]})
    elsewhere = account_from(entry, OPENLDAP).elsewhere
    assert elsewhere is not None
    assert elsewhere.host == "old.example"
    assert {"mailHost", "mailRoutingAddress"} <= set(OPENLDAP.requested)
    assert "mailHost" in OPENLDAP.requested_of_recipients
