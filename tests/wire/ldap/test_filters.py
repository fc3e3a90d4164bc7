"""Filters: what is written means what was built, to ldap3 as to us, whatever the values hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import compile_filter, parse_filter

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
    attributes_of,
    check_evaluable,
    escape,
    matches,
    parse,
)
from tests.wire.ldap.strategies import attributes, filters_of, hostile

leaves = st.one_of(
    st.builds(Equal, attributes, hostile),
    st.builds(Present, attributes),
)
filters = filters_of(leaves)


@given(filters)
def test_what_is_written_is_parsed_back(wanted: Filter) -> None:
    assert parse(str(wanted)) == wanted


@given(attributes, hostile)
def test_L2_ldap3_sends_exactly_the_value(attribute: str, value: str) -> None:
    text = str(Equal(attribute, value))
    root = parse_filter(text, None, False, False, None, False)
    compiled = compile_filter(root.elements[0])
    assert compiled.getName() == "equalityMatch"
    assert bytes(compiled["equalityMatch"]["attributeDesc"]) == attribute.encode()
    assert bytes(compiled["equalityMatch"]["assertionValue"]) == value.encode()


@given(attributes, st.binary(max_size=20))
def test_L2_octets_reach_the_server_as_they_are(attribute: str, value: bytes) -> None:
    root = parse_filter(str(EqualOctets(attribute, value)), None, False, False, None, False)
    compiled = compile_filter(root.elements[0])
    assert bytes(compiled["equalityMatch"]["assertionValue"]) == value


def test_octets_are_compared_as_they_are() -> None:
    entry = {"objectguid": [b"\xff\0"]}
    assert matches(EqualOctets("objectGUID", b"\xff\0"), entry)
    assert not matches(EqualOctets("objectGUID", b"\xff"), entry)


def test_order_is_for_servers_only() -> None:
    wanted = AtLeast("uSNChanged", "12)(uid=*")
    assert str(wanted) == "(uSNChanged>=12\\29\\28uid=\\2a)"
    assert attributes_of(wanted) == {"usnchanged"}
    with pytest.raises(FilterSyntax, match="cannot be evaluated"):
        matches(wanted, {"usnchanged": [b"12"]})


@pytest.mark.parametrize(
    ("value", "both", "either"),
    [(b"514", True, True), (b"512", False, True), (b"1", False, False), (b"-1", True, True)]
    + [(b"", False, False), (b"x", False, False), (b"9" * 40, False, False)],
)
def test_rules_of_bits_are_evaluated_here_too(value: bytes, both: bool, either: bool) -> None:
    entry = {"useraccountcontrol": [value]}
    assert matches(parse("(userAccountControl:1.2.840.113556.1.4.803:=514)"), entry) is both
    assert matches(parse("(userAccountControl:1.2.840.113556.1.4.804:=514)"), entry) is either
    assert not matches(parse("(userAccountControl:1.2.840.113556.1.4.803:=x)"), entry)


@pytest.mark.parametrize("text", ["(m:1.2.840.113556.1.4.1941:=cn=x)", "(ou:dn:=a)", "(:1.2:=a)"])
def test_what_only_servers_evaluate_is_told_before_any_entry_is_seen(text: str) -> None:
    for form in (text, f"(&(a=b){text})", f"(|(a=b)(!{text}))"):
        with pytest.raises(FilterSyntax, match="only by a server"):
            check_evaluable(parse(form))
    check_evaluable(parse("(&(a=b)(!(c=d*))(u:1.2.840.113556.1.4.803:=2)(e=*))"))


def test_L2_hostile_values_are_escaped() -> None:
    assert escape("*()\\\0 é") == "\\2a\\28\\29\\5c\\00\\20\\c3\\a9"
    assert str(Equal("uid", "alice)(uid=*")) == "(uid=alice\\29\\28uid=\\2a)"


@pytest.mark.parametrize("name", ["", "uid)(x", "uid=*", " uid", "uid*", "ü", "uid\n", "1.", "a;"])
def test_L2_attribute_names_cannot_hold_anything_else(name: str) -> None:
    for build in (lambda: Equal(name, "x"), lambda: Present(name), lambda: Substrings(name, ("",))):
        with pytest.raises(FilterSyntax):
            build()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(objectClass=person)", Equal("objectClass", "person")),
        (" ( objectClass =a b) ", Equal("objectClass", "a b")),
        ("(mail=*)", Present("mail")),
        ("(cn=a*b*)", Substrings("cn", ("a", "b", ""))),
        ("(cn=\\2a\\28)", Equal("cn", "*(")),
        (
            "(&(a=1)\n (!(b=2))(|(c=3)))",
            And((Equal("a", "1"), Not(Equal("b", "2")), Or((Equal("c", "3"),)))),
        ),
        (
            "(userAccountControl:1.2.840.113556.1.4.803:=2)",
            Extensible("userAccountControl", ":1.2.840.113556.1.4.803", "2"),
        ),
        ("(ou:dn:=people)", Extensible("ou", ":dn", "people")),
    ],
)
def test_parses_what_administrators_write(text: str, expected: Filter) -> None:
    assert parse(text) == expected
    assert parse(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "()", "(a)", "a=b", "(a=b", "(a=b))", "(a=b)(c=d)", "(&)", "(!)", "(!(a=b)(c=d))", "(=b)"]
    + ["(a=\\zz)", "(a=\\f)", "(a=\\ff)", "(a=(b)", "(" * 5000, "(!" * 100 + "(a=b)" + ")" * 100]
    + ["(a>=1)", "(a~=1)", "(a b=1)"],
)
def test_text_that_is_no_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterSyntax):
        parse(text)


ENTRY = {
    "objectclass": (b"top", b"inetOrgPerson"),
    "cn": ("Zoë  von Straße".encode(),),
    "photo": (b"\xff\xfe",),
    "empty": (),
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("(objectClass=INETORGPERSON)", True),
        ("(objectclass=person)", False),
        ("(cn=zoë von strasse)", True),
        ("(cn=zoe von strasse)", False),
        ("(cn=zoë*strasse)", True),
        ("(cn=*von*)", True),
        ("(cn=von*)", False),
        ("(photo=*)", True),
        ("(photo=x)", False),
        ("(empty=*)", False),
        ("(missing=x)", False),
        ("(!(missing=x))", True),
        ("(&(cn=*)(objectClass=top))", True),
        ("(&(cn=*)(objectClass=bottom))", False),
        ("(|(cn=x)(objectClass=top))", True),
    ],
)
def test_evaluates_like_a_server(text: str, found: bool) -> None:
    assert matches(parse(text), ENTRY) is found


def test_an_extensible_match_is_for_servers_only() -> None:
    with pytest.raises(FilterSyntax):
        matches(parse("(uac:1.2.3:=2)"), ENTRY)


def test_names_the_attributes_it_needs() -> None:
    wanted = parse("(&(Mail=x)(!(uid=y))(|(cn=*)(mail=z*)))")
    assert attributes_of(wanted) == {"mail", "uid", "cn"}
