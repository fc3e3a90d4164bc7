"""Words and what a text asks of them: nothing that holds a text may be missed."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.store.search_index.words import (
    LONGEST,
    REACH,
    Question,
    Term,
    pieces_of,
    question,
    words_of,
)

# Few letters, so that words repeat; some that grow when folded, marks, other scripts, no letters.
LETTERS = "aab_0ßẞŉǰİé\u0301\u00adω漢字 \r\n.,-<\0\U0001f600𝒜"
TEXTS = st.text(LETTERS, max_size=300) | st.text(max_size=60) | st.text("ab漢", max_size=400)


def meets(words: set[str], term: Term) -> bool:
    match term.kind:
        case "whole":
            return term.text in words
        case "start":
            return any(word.startswith(term.text) for word in words)
        case "end":
            return any(word.endswith(term.text) for word in words)
        case "within":
            return any(term.text in word for word in words)


def asked_of(text: str, start: int, length: int) -> tuple[set[str], str, Question]:
    folded = text.casefold()
    start = start % (len(folded) + 1)
    searched = folded[start : start + length]
    return words_of(folded), searched, question(searched)


@settings(max_examples=500, deadline=None)
@given(TEXTS, st.integers(0, 400), st.integers(1, 150))
@example("x" * 200, 3, 64)
@example("x" * 65, 1, 64)
@example("漢" * 97, 0, 33)
def test_whatever_a_text_holds_its_words_meet_the_question(
    text: str, start: int, length: int
) -> None:
    words, searched, asked = asked_of(text, start, length)
    assert all(meets(words, term) for term in asked.terms), (searched, asked)
    assert all(1 <= len(word) <= LONGEST for word in words)


@settings(max_examples=500, deadline=None)
@given(TEXTS, TEXTS, st.integers(0, 400), st.integers(1, 40))
def test_an_exact_question_is_answered_by_the_words_alone(
    text: str, other: str, start: int, length: int
) -> None:
    _, searched, asked = asked_of(other, start, length)
    if asked.exact:
        folded = text.casefold()
        found = all(meets(words_of(folded), term) for term in asked.terms)
        assert found is (searched in folded)


def test_pieces_of_a_long_run_overlap_and_end_with_it() -> None:
    for length in (LONGEST + 1, LONGEST + REACH, LONGEST + REACH + 1, 1000):
        run = "".join(chr(0x4E00 + place) for place in range(length))
        pieces = pieces_of(run)
        assert all(
            any(run[start : start + REACH] in piece for piece in pieces)
            for start in range(length - REACH + 1)
        )
        assert run.endswith(pieces[-1]) and len(pieces[-1]) > REACH
    assert pieces_of("word") == ["word"]


def test_a_text_is_cut_where_words_are() -> None:
    assert question("foo") == Question((Term("within", "foo"),), exact=True)
    assert question("foo bar") == Question((Term("end", "foo"), Term("start", "bar")), exact=False)
    assert question("<a@b>") == Question((Term("whole", "a"), Term("whole", "b")), exact=False)
    assert question(" ") == question("") == Question((), exact=False)
