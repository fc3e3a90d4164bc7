"""Text of files that administrators write."""

from __future__ import annotations

import pytest

from gateway.core.text_files import NotText, TooMuchText, text_of


def test_text_with_and_without_a_byte_order_mark() -> None:
    assert text_of("grün\n".encode(), 100) == text_of("\ufeffgrün\n".encode(), 100) == "grün\n"


def test_the_line_of_what_is_no_text_is_told() -> None:
    with pytest.raises(NotText) as found:
        text_of(b"a\nb\n\xff\n", 100)
    assert found.value.line == 3


def test_too_much_is_told_as_that_wherever_it_was_cut() -> None:
    with pytest.raises(TooMuchText):
        text_of("aaagr\u00fc".encode()[:-1], 5)
