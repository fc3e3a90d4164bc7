"""Words of a text, and what a search text asks of them.

A word is a maximal run of letters, digits and underscores in folded text. IMAP asks for substrings,
not for words: what a text is asked to hold is cut at the same places, so that its first piece is
some word's end, its last piece some word's beginning, and those between are whole words. A text of
one piece lies within one word, so the words alone tell who holds it.

Runs of more than 64 characters (languages written without spaces, encoded data) are kept as pieces
of 64 that overlap: whatever is not longer than ``REACH`` lies within one of them whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

LONGEST = 64
REACH = LONGEST // 2

_WORD = re.compile(r"\w+")


def words_of(folded: str) -> set[str]:
    """The words of a text that is in folded case already, each at most ``LONGEST`` characters."""
    words = set(_WORD.findall(folded))
    long = [word for word in words if len(word) > LONGEST]
    for word in long:
        words.remove(word)
        words.update(pieces_of(word))
    return words


def pieces_of(run: str) -> list[str]:
    """A run in overlapping pieces; the last one is longer than ``REACH`` and ends with the run."""
    if len(run) <= LONGEST:
        return [run]
    return [run[start : start + LONGEST] for start in range(0, len(run) - REACH, REACH)]


class Term(NamedTuple):
    """A condition on one word."""

    kind: Literal["within", "start", "end", "whole"]
    text: str


class Question(NamedTuple):
    """Conditions on a text's words that hold wherever the text holds what is searched.

    ``exact`` says that the reverse is true as well. Without terms nothing is known.
    """

    terms: tuple[Term, ...]
    exact: bool


def question(folded: str) -> Question:
    """What is asked of the words of a text that shall hold another, both in folded case."""
    found = list(_WORD.finditer(folded))
    terms: list[Term] = []
    for run in found:
        text = run[0]
        opens, closes = run.start() > 0, run.end() < len(folded)
        if opens and closes:
            terms += (Term("whole", piece) for piece in pieces_of(text))
        elif opens:  # the word goes on behind it, so its first piece begins with this
            terms.append(Term("start" if len(text) <= LONGEST else "whole", text[:LONGEST]))
        elif closes:
            terms.append(Term("end", text[-REACH:]))
        else:
            pieces = [text[start : start + REACH] for start in range(0, len(text), REACH)]
            pieces[-1] = text[-REACH:]
            terms += (Term("within", piece) for piece in pieces)
    single = len(found) == 1 and len(found[0][0]) == len(folded) <= REACH
    return Question(tuple(dict.fromkeys(terms)), exact=single)


def whole_words(folded: str) -> Iterable[Term]:
    """Conditions for a text with something else than a word's characters on both sides."""
    return (Term("whole", piece) for run in _WORD.findall(folded) for piece in pieces_of(run))
