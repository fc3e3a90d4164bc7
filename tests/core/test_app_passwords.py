"""The form of app passwords, by which they are told from all others; and their settings."""

from __future__ import annotations

import math
import random
import secrets

import pytest

from gateway.core.app_passwords import (
    ALPHABET,
    HANDLE_CHARACTERS,
    handle_of,
    new_text,
    new_text_beside,
    text_in,
)
from tests.core.test_login_settings import problems

TEXT = new_text(random.Random(6).randrange)


def test_a_new_one_is_easy_to_type_and_hard_to_guess() -> None:
    groups = TEXT.split("-")
    assert [len(group) for group in groups] == [5] * 5
    assert not set("ilo01") & set(ALPHABET) and len(set(ALPHABET)) == len(ALPHABET)
    # What is drawn and not kept in clear: all but the handle and the two that are computed.
    assert (25 - HANDLE_CHARACTERS - 2) * math.log2(len(ALPHABET)) > 100
    assert len({new_text(secrets.randbelow) for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "typed", [TEXT, TEXT.upper(), TEXT.replace("-", ""), TEXT.replace("-", " "), f" {TEXT} "]
)
def test_it_is_known_however_it_is_typed(typed: str) -> None:
    assert text_in(typed.encode()) == TEXT


def test_every_other_text_is_somebody_elses() -> None:
    wrong = TEXT[:-1] + ("2" if TEXT[-1] != "2" else "3")
    for other in ("", "wonderland", wrong, TEXT + "2", TEXT[:-1], TEXT.replace("-", "\u2010")):
        assert text_in(other.encode()) is None
    assert text_in(b"\xff" * 25) is None and text_in(b"-" * 100_000) is None


def test_A8_a_slip_is_not_taken_for_one_of_ours() -> None:
    """Of all texts with one wrong letter hardly any has the form."""
    letters = TEXT.replace("-", "")
    slips = [
        letters[:place] + one + letters[place + 1 :]
        for place in range(25)
        for one in ALPHABET
        if one != letters[place]
    ]
    assert sum(text_in(slip.encode()) is not None for slip in slips) < len(slips) / 200


def test_each_of_a_persons_begins_otherwise() -> None:
    draw = random.Random(1).randrange
    taken = {one + two for one in ALPHABET for two in ALPHABET} - {"zz"}
    assert handle_of(new_text_beside(taken, draw)) == "zz"


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("enabled = true\nonly = true\nexempt = ['10.0.0.0/8']", []),
        ("enabled = false\nonly = true", ["app_passwords.only"]),
        ("exempt = ['10.0.0.0/8']", ["app_passwords.exempt"]),
        ("only = true\nexempt = ['webmail']", ["app_passwords.exempt"]),
        ("most = 0", ["app_passwords.most"]),
    ],
)
def test_settings_that_shut_everybody_out_are_mistakes(text: str, keys: list[str]) -> None:
    assert [key for key, _ in problems(f"[app_passwords]\n{text}")] == keys
