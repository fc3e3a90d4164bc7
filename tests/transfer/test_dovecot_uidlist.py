"""Dovecot's lists, version 3 and 1, and the POP3 names that follow from them."""

from __future__ import annotations

import pytest

from gateway.transfer import dovecot_uidlist as lists
from gateway.transfer.dovecot_uidlist import BadUidList, Listed

VERSION_3 = """\
3 V1275660208 N25 G3085f01b7f11094c501100008c4a11c1
3 :1276528487.M364837P9451.kurkku,S=1355,W=1394
20 P000a W1234 Gabc :1276533073.M242911P3632.kurkku:2,F
24 R P00 :name with: colon
"""


def test_version_3_has_pop3_names() -> None:
    found = lists.parse(VERSION_3.splitlines())
    assert (found.uid_validity, found.uid_next) == (1275660208, 25)
    assert found.messages == {
        "1276528487.M364837P9451.kurkku": Listed(3),
        "1276533073.M242911P3632.kurkku": Listed(20, "000a", "abc"),
        "name with: colon": Listed(24, "00"),
    }


def test_version_1_is_also_what_courier_writes() -> None:
    found = lists.parse(["1 1275660208 6", "4 123.host", "9 124.host:2,S", "10"])
    assert found.messages == {"123.host": Listed(4), "124.host": Listed(9)}
    assert found.uid_next == 10


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2 x",
        "3 V0 N5",
        "3 N5",
        "3 V99999999999 N5",
        "3 V5 N5\n3 :a\n3 :b",
        "3 V5 N5\nx :a",
        "3 V5 N5\n4294967296 :a",
    ],
)
def test_a_list_that_contradicts_itself_is_refused(text: str) -> None:
    with pytest.raises(BadUidList):
        lists.parse(text.splitlines())


def test_what_is_written_is_read() -> None:
    rows = [(4, "old", "1.V5U4.x,S=1,W=2"), (9, "bad name", "2.V5U9.x")]
    found = lists.parse(lists.render(5, 12, "ab" * 16, rows).splitlines())
    assert (found.uid_validity, found.uid_next) == (5, 12)
    assert found.messages == {"1.V5U4.x": Listed(4, "old"), "2.V5U9.x": Listed(9)}
    letters = {"a": "$Forwarded", "z": "Work"}
    assert lists.parse_keywords(lists.render_keywords(letters).splitlines()) == letters


@pytest.mark.parametrize(
    ("template", "uidl"),
    [
        ("%08Xu%08Xv", "000000114c091bb0"),
        ("%v.%u", "1275665328.17"),
        ("%v-%u", "1275665328-17"),
        ("%f", "1.M2P3.host,S=5"),
        ("%g", "1.M2P3.host,S=5"),
        ("UID%u", "UID17"),
    ],
)
def test_pop3_names_follow_the_format(template: str, uidl: str) -> None:
    lists.check_uidl_format(template)
    assert lists.uidl_by(template, Listed(17), 1275665328, "1.M2P3.host,S=5:2,S") == uidl


@pytest.mark.parametrize("template", ["%m", "fixed", "%08Xv", "%", "%{uid}"])
def test_formats_that_cannot_be_followed_are_refused(template: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        lists.check_uidl_format(template)
