"""Foreign text in log lines."""

from __future__ import annotations

from gateway.core.errors import StoreUnavailable
from gateway.core.log_text import escaped, shown


def test_A9_no_text_ends_its_line_or_moves_the_cursor() -> None:
    assert escaped("a\r\n250 ok \x1b[2J \u202e") == r"a\r\n250 ok \x1b[2J \u202e"
    assert escaped(StoreUnavailable("x\ny", path="z")) == r"x\ny (path='z')"
    assert shown(b"\xff\n") == r"'\\xff\n'"


def test_A9_text_is_bounded() -> None:
    assert escaped("x" * 10_000, 5) == "xxxxx"
    assert shown("x" * 10_000, 5) == "'xxxxx'…"
    assert shown("x" * 5, 5) == "'xxxxx'"
