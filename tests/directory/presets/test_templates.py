"""Filters and DNs with places for what somebody typed (SECURITY L2, L3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.directory.dn import dn_key, escape_value, types_in
from gateway.directory.templates import NOBODY, dn_template, filter_template, halves
from gateway.wire.ldap.filters import And, Equal, Filter, FilterSyntax, Not, Or, matches, parse

BOTH = filter_template("(&(objectClass=person)(|(uid={login})(mail={login})))")
NASTY = st.text(st.sampled_from(list('\\*()|&!=,+"<>;# \0\n\x7fäß\u2028a1{}')), min_size=1)


def shape(wanted: Filter) -> object:
    match wanted:
        case And(operands) | Or(operands):
            return [type(wanted), *map(shape, operands)]
        case Not(operand):
            return [Not, shape(operand)]
        case _:
            return type(wanted), getattr(wanted, "attribute", "")


@given(NASTY)
def test_L2_no_login_changes_the_shape_of_a_filter(login: str) -> None:
    filled = BOTH.filled(login)
    assert shape(filled) == shape(BOTH.filled("anna"))
    assert str(parse(str(filled))) == str(filled)
    assert shape(parse(str(filled))) == shape(filled)
    assert Equal("uid", login) in filled.operands[1].operands  # type: ignore[union-attr]


@given(NASTY)
def test_L2_only_the_one_with_this_login_is_found(login: str) -> None:
    person = {"objectclass": [b"person"], "uid": [b"somebody else"], "mail": [b"s@example.test"]}
    assert not matches(BOTH.filled(login), person)


@given(NASTY)
def test_L3_no_login_changes_the_shape_of_a_dn(login: str) -> None:
    template = dn_template("uid={login},ou=people,dc=example,dc=com")
    dn = template.filled(login)
    assert types_in(dn) == ["uid", "ou", "dc", "dc"]
    assert dn.isprintable()
    if login.strip() and login.isprintable():
        assert dn_key(dn) == dn_key(f"uid={escape_value(login)},ou=people,dc=example,dc=com")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("anna", "anna"),
        ("", ""),
        ("Schmidt, Anna", "Schmidt\\2c Anna"),
        (" a b ", "\\20a b\\20"),
        ("#a#", "\\23a#"),
        ('a+b"c\\d<e>f;g=h', "a\\2bb\\22c\\5cd\\3ce\\3ef\\3bg\\3dh"),
        ("nul\0", "nul\\00"),  # ldap3 wrote a backslash and the NUL
        ("jörg", "jörg"),
    ],
)
def test_L3_values_of_dns_are_escaped(value: str, text: str) -> None:
    assert escape_value(value) == text


@pytest.mark.parametrize(
    ("login", "user", "domain"),
    [
        ("anna", "anna", ""),
        ("anna@example.com", "anna", "example.com"),
        ("a@b@example.com", "a@b", "example.com"),
        ("EXAMPLE\\anna", "anna", "EXAMPLE"),
        ("EXAMPLE\\anna@x", "anna@x", "EXAMPLE"),
        ("@", "", ""),
    ],
)
def test_halves(login: str, user: str, domain: str) -> None:
    assert halves(login) == (user, domain)


def test_an_item_without_a_value_finds_nobody() -> None:
    template = filter_template("(|(uid={user})(&(mail={user}@{domain})(o={domain})))")
    assert template.filled("anna") == Or((Equal("uid", "anna"),))
    assert str(template.filled("anna@x.test")) == "(|(uid=anna)(&(mail=anna@x.test)(o=x.test)))"
    assert filter_template("(o={domain})").filled("anna") == NOBODY
    assert not matches(NOBODY, {"objectclass": [b"person"]})
    assert str(filter_template("(!(o={domain}))").filled("anna")) == "(objectClass=*)"
    assert dn_template("uid={user},o={domain}").filled("anna") == ""
    assert str(filter_template("(cn=a*{login}*)").filled("x*")) == "(cn=a*x\\2a*)"


@pytest.mark.parametrize(
    "text",
    [
        "(uid=anna)",
        "(uid={name})",
        "(uid={login}",
        "(uid={login)",
        "(uid=login})",
        "({login}=anna)",
        "(&({login}))",
        "(uid={login})(mail={login})",
    ],
)
def test_L2_templates_that_are_none(text: str) -> None:
    with pytest.raises(FilterSyntax):
        filter_template(text)


@pytest.mark.parametrize(
    "text",
    ["uid=anna,dc=test", "{login}", "{login},dc=test", "{login}=x,dc=test", "uid={who},dc=test"],
)
def test_L3_dn_templates_that_are_none(text: str) -> None:
    with pytest.raises(FilterSyntax):
        dn_template(text)
