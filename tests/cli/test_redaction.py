"""Names of people taken out of what is passed on."""

from __future__ import annotations

import pytest

from gateway.cli.redaction import Redaction


@pytest.fixture
def redaction() -> Redaction:
    made = Redaction()
    made.domains(["example.com", "mail.other.test"])
    made.person("alice", "alice@example.com", "a.liddell@example.com", "Alice Liddell", "Liddell")
    made.other("group", "Sales Team")
    made.other("client", "192.0.2.7")
    return made


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("alice@example.com", "person-1@domain-1"),
        ("Alice@EXAMPLE.com, A.Liddell@example.com", "person-1@domain-1, person-1@domain-1"),
        ("(uid=alice)(mail=alice)", "(uid=person-1)(mail=person-1)"),
        ("(mail=alice@example.com)", "(mail=person-1@domain-1)"),
        (
            "bob@example.com and carol@sub.example.com",
            "person-2@domain-1 and person-3@sub.domain-1",
        ),
        (
            "uid=alice,ou=people,dc=example,dc=com found",
            "uid=person-1,ou=name-1,dc=domain-1 found",
        ),
        (
            "CN=Liddell\\, Alice,OU=Our Staff,DC=example,DC=com: refused",
            "CN=name-1,OU=name-2,dc=domain-1: refused",
        ),
        ("dc=example,dc=com", "dc=domain-1"),
        ("ldaps://dc1.example.com:636", "ldaps://dc1.domain-1:636"),
        ("in Sales Team from 192.0.2.7", "in group-1 from client-1"),
        ("alice+list@example.com", "person-1+tag@domain-1"),
        ("malice and 1.192.0.2.70", "malice and 1.192.0.2.70"),
        ("timeout_s = 8, a=b", "timeout_s = 8, a=b"),
    ],
)
def test_what_becomes_of_a_text(redaction: Redaction, text: str, wanted: str) -> None:
    assert redaction.text(text) == wanted


def test_the_same_name_is_the_same_word_everywhere(redaction: Redaction) -> None:
    first = redaction.value({"dave@example.com": ["uid=dave,dc=example,dc=com", {"x": 3}]})
    assert first == {"person-2@domain-1": ["uid=person-2,dc=domain-1", {"x": 3}]}
    assert redaction.text("dave@example.com") == "person-2@domain-1"


def test_what_is_taken_out_stays_as_it_is(redaction: Redaction) -> None:
    for text in ("alice@example.com", "uid=alice,ou=people,dc=example,dc=com", "x@new.test"):
        once = redaction.text(text)
        assert redaction.text(once) == once


def test_names_beyond_ascii_in_every_form() -> None:
    made = Redaction()
    made.person("jörg", "Jörg Müller")
    forms = ("Jörg Müller", r"J\xf6rg M\xfcller", r"(cn=J\c3\b6rg\20M\c3\bcller)")
    assert [made.text(each) for each in forms] == ["person-1", "person-1", "(cn=person-1)"]
