"""LIST patterns, and SECURITY I10: time that does not depend on the pattern's cunning."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.imap.listmatch import ListPattern, matching


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("*", "a/b/c", True),
        ("%", "a", True),
        ("%", "a/b", False),
        ("%/%", "a/b", True),
        ("%/%", "a/b/c", False),
        ("a*", "a", True),
        ("a*", "a/b", True),
        ("a%", "ab", True),
        ("a%", "a/b", False),
        ("a/%", "a", False),
        ("*c", "a/b/c", True),
        ("%c", "a/b/c", False),
        ("*%", "a/b", True),
        ("%*", "a/b", True),
        ("a", "a", True),
        ("a", "A", False),
        ("a", "ab", False),
        ("", "a", False),
        ("inbox", "INBOX", True),
        ("InB*", "INBOX", True),
        ("%box/x", "INBOX/x", True),
        ("inbox/X", "INBOX/x", False),
        ("inbox", "INBOX/x", False),
        ("INBOX", "INBOXES", False),
        ("inboxes", "INBOXES", False),
        ("\u0131nbox", "INBOX", False),
        ("Entw\u00fc*", "Entw\u00fcrfe", True),
    ],
)
def test_match(pattern: str, name: str, expected: bool) -> None:
    assert ListPattern(pattern).matches(name) is expected


def test_the_reference_stands_before_each_pattern() -> None:
    a, b = matching(("%", "x"), "r/")
    assert a.matches("r/q") and not a.matches("q")
    assert b.matches("r/x") and not b.matches("x")


@given(st.text("ab/*%", max_size=8), st.text("ab/", max_size=8))
def test_the_same_as_a_regular_expression(pattern: str, name: str) -> None:
    translated = "".join({"*": ".*", "%": "[^/]*"}.get(char, char) for char in pattern)
    expected = re.fullmatch(translated, name, re.DOTALL) is not None
    assert ListPattern(pattern).matches(name) is expected


def test_I10_hostile_patterns_are_cheap() -> None:
    name = "a" * 1000
    start = time.process_time()
    for pattern in ("*%" * 500 + "b", "*a" * 490 + "b", "%a" * 490 + "b", "*%*%*%*%*%*b"):
        compiled = ListPattern(pattern)
        for _ in range(20):
            assert not compiled.matches(name)
    assert time.process_time() - start < 1.0
