"""The seeds of the fuzz run, replayed: as they are cut, octet by octet, and in one piece."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.smtp_server import SEEDS
from tests.fuzz.smtp_session import Case, check, play

FILES = sorted(SEEDS.iterdir())


def test_the_seeds_are_few() -> None:
    assert 40 <= len(FILES) <= 200


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_S1_S22_every_seed_however_it_is_cut(path: Path) -> None:
    data = path.read_bytes()
    check(data)
    case = Case.of(data)
    for flags in {case.flags, case.flags ^ 2, case.flags ^ 4}:
        for step in (0, 1, 2, 3, 5, 16):
            play(replace(case, flags=flags, step=step))


WORDS = [
    *(b"EHLO x\r\n", b"HELO x\r\n", b"LHLO x\r\n", b"RSET\r\n", b"NOOP\r\n", b"QUIT\r\n"),
    *(
        b"MAIL FROM:<a@b>\r\n",
        b"MAIL FROM:<> BODY=BINARYMIME\r\n",
        "MAIL FROM:<ä@b> SMTPUTF8\r\n".encode(),
    ),
    *(b"RCPT TO:<a@b>\r\n", b"RCPT TO:<a@b> NOTIFY=NEVER\r\n", "RCPT TO:<ä@b>\r\n".encode()),
    *(b"DATA\r\n", b"x\r\n.\r\n", b".\r\n", b"\r\n.\n", b"..", b"\n", b"\r", b"\0", b"\xff"),
    *(b"BDAT 3\r\n", b"BDAT 3 LAST\r\n", b"BDAT 0\r\n", b"BDAT x\r\n", b"abc", b"a\r\n"),
    *(b"STARTTLS\r\n", b"AUTH PLAIN\r\n", b"*\r\n", b"ETRN d\r\n", b"XCLIENT NAME=x\r\n"),
    *(b"WIZ\r\n", b"\r\n", b"EXPN x\r\n", b"GET / HTTP/1.1\r\n", b"y" * 500, b"Received: z\r\n"),
]


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from(WORDS) | st.binary(max_size=20), max_size=40),
    st.integers(0, 63),
    st.integers(0, 63),
    st.integers(0, 20),
)
def test_S1_S22_any_dialogue(words: list[bytes], flags: int, choices: int, step: int) -> None:
    octets = b"".join(words)
    play(Case(flags, choices, step, octets))
    check(bytes((0x40 | flags, 0x40 | choices, 0x40 | step)) + octets)
