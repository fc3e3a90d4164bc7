"""The tables of aliases, from the settings and from text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.address import Address
from gateway.core.errors import SettingsError
from gateway.routing.aliases import Aliases, Table, from_settings, from_text

DOMAINS = ("example.com", "example.org", "xn--mnchen-3ya.example")


def read(text: str, *taken: str) -> dict[str, list[str]]:
    return shown(from_text(text, "aliases", DOMAINS, taken))


def shown(table: Table) -> dict[str, list[str]]:
    return {name: [str(each) for each in targets] for name, targets in table.items()}


def problems(text: str, *taken: str) -> list[str]:
    with pytest.raises(SettingsError) as refusal:
        read(text, *taken)
    return [str(each) for each in refusal.value.problems]


def test_a_file_of_aliases() -> None:
    text = """\
# Comments and empty lines count nothing.

sales@example.com: alice@example.com, Bob,
    outside@else.example
  # a comment inside
abuse:postmaster
"odd, name"@example.org : "a:b"@example.com\r
Jörg@München.example: jörg
twice: a@example.com, A@EXAMPLE.COM
"""
    assert read(text) == {
        "sales@example.com": ["alice@example.com", "Bob@example.com", "outside@else.example"],
        "abuse": ["postmaster@example.com"],
        "odd, name@example.org": ['"a:b"@example.com'],
        "jörg@xn--mnchen-3ya.example": ["jörg@example.com"],
        "twice": ["a@example.com"],
    }
    assert read("") == {}


def test_mistakes_are_told_by_line() -> None:
    text = """\
ok: bob
no colon here
:bob
foreign@else.example: bob
ok: again
run: |/bin/sh -c date, "|vacation bob"
write: /var/mail/all
include: :include:/etc/passwd
bad: bob@@example.com, alice
nobody:
"""
    found = problems(text)
    assert [each.split(": ", 2)[1] for each in found] == [
        "line 2",
        "line 3",
        "line 4",
        "line 5",
        "line 6",
        "line 6",
        "line 7",
        "line 8",
        "line 9",
        "line 10",
    ]
    assert "a domain of ours (example.com, example.org" in found[2]
    assert "each alias once" in found[3]
    assert "programs, files and :include: are never used" in found[4]
    assert "1 to 10000 addresses" in found[-1]


def test_a_name_that_the_settings_have_is_a_mistake_in_the_file() -> None:
    assert "each alias once" in problems("info@example.com: bob", "info@example.com")[0]


def test_the_settings_table_is_checked_the_same() -> None:
    table = from_settings({"Info@Example.com": ["bob", "x@else.example"]}, DOMAINS)
    assert shown(table) == {"info@example.com": ["bob@example.com", "x@else.example"]}
    with pytest.raises(SettingsError) as refusal:
        from_settings({"x@else.example": ["bob"], "a": ["|date"]}, DOMAINS)
    assert [each.key for each in refusal.value.problems] == [
        "aliases.x@else.example",
        "aliases.a",
    ]


def test_the_whole_address_comes_before_the_name_alone() -> None:
    aliases = Aliases(from_text("info: a\ninfo@example.org: b\n", "aliases", DOMAINS, ()))
    main, other = Address("INFO", "example.com"), Address("info", "example.org")
    assert aliases.targets(main, here=True) == (Address("a", "example.com"),)
    assert aliases.targets(other, here=True) == (Address("b", "example.com"),)
    assert aliases.targets(main, here=False) == ()
    assert aliases.targets(Address("x", "example.com"), here=True) == ()


@given(st.text(alphabet='ab@.:,"\\ \n\t#|/', max_size=80))
def test_any_text_is_a_table_or_a_list_of_mistakes(text: str) -> None:
    try:
        table = from_text(text, "aliases", DOMAINS, ())
    except SettingsError as error:
        assert error.problems
    else:
        assert all(table.values())


def test_S29_a_long_line_takes_no_long_time() -> None:
    for piece in ('"', '\\"', "a", ",", ":", '"a', " "):
        problems(piece * 50_000 + ".")
