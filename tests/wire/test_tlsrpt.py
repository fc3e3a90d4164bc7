"""Which TXT records ask for reports about TLS, and where they go (RFC 8460 section 3)."""

from __future__ import annotations

import pytest

from gateway.wire.tlsrpt import read_record


@pytest.mark.parametrize(
    "texts, addresses, urls",
    [
        (["v=TLSRPTv1; rua=mailto:a@b.example"], ("a@b.example",), ()),
        (["v=TLSRPTv1;rua=https://b.example/x;"], (), ("https://b.example/x",)),
        (["v=TLSRPTv1; rua=mailto:a@b.example?x=y, HTTPS://c.example"], ("a@b.example",), 1),
        (["other", "v=TLSRPTv1; x=y; rua=mailto:a@b.example"], ("a@b.example",), ()),
        (["v=TLSRPTv1; rua=mailto:A@B.Example,mailto:A@b.example"], ("A@b.example",), ()),
        (["v=TLSRPTv1; rua=mailto:a@b..example,mailto:a@b.example"], ("a@b.example",), ()),
        (
            ["v=TLSRPTv1; rua=" + ",".join(f"mailto:a{n}@b.example" for n in range(9))],
            tuple(f"a{n}@b.example" for n in range(4)),
            (),
        ),
    ],
)
def test_records_that_ask_for_reports(
    texts: list[str], addresses: tuple[str, ...], urls: tuple[str, ...] | int
) -> None:
    found = read_record(texts)
    assert found is not None and tuple(map(str, found.addresses)) == addresses
    assert found.urls == urls if isinstance(urls, tuple) else len(found.urls) == urls


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["v=TLSRPTv2; rua=mailto:a@b.example"],
        ["v=TLSRPTv1"],
        ["v=TLSRPTv1; rua="],
        ["v=TLSRPTv1; rua=http://b.example/"],
        ["v=TLSRPTv1; rua=mailto:a"],
        ["v=TLSRPTv1; rua=mailto:a@b.example%0D%0ABcc:x@y.example"],
        ["v=TLSRPTv1; rua=https://user@b.example/"],
        ["v=TLSRPTv1; rua=https://b.example:22/"],
        ["v=TLSRPTv1; rua=https://b.example:x/"],
        ["v=TLSRPTv1; rua=mailto:a@b.example", "v=TLSRPTv1; rua=mailto:a@b.example"],
    ],
)
def test_records_that_ask_nothing_that_could_be_done(texts: list[str]) -> None:
    assert read_record(texts) is None
