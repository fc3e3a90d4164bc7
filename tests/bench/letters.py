"""Letters for benchmarks: varied text that is distributed as people's is, the same every time.

Words are drawn from a made-up language of so many words, with the frequencies of Zipf's law; sizes
lie between 1 and 20 KiB, small ones more often. Each letter has headers as mail has them, with ids
and dates that no other one has; a quarter is multipart with HTML, some are encoded.
"""

from __future__ import annotations

import base64
import quopri
import random
from collections.abc import Iterator
from email.utils import formatdate
from itertools import accumulate

VOCABULARY = 60_000
SMALLEST, LARGEST = 1_024, 20 * 1_024
WRITERS = 400
BEGAN = 1_600_000_000

_ONSETS = [*"bcdfghjklmnprstvwz", "br", "ch", "fl", "gr", "pr", "qu", "sch", "st", "tr"]
_MIDDLES = [*"aeioäöü", "ai", "ei", "au", "eu", "ie", "ou"]
_ENDS = ["", "", "n", "r", "s", "t", "l", "m", "nd", "ng", "rt", "ck"]


class Letters:
    """Makes the letters of a seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)
        self.words = self._made_up()
        self._weights = list(accumulate(1 / rank for rank in range(1, VOCABULARY + 1)))
        self._writers = [
            f"{self._name()} {self._name()} <{self._name().lower()}{number}@example.test>"
            for number in range(WRITERS)
        ]

    def _made_up(self) -> list[str]:
        choose = self._random.choice
        words: dict[str, None] = {}
        while len(words) < VOCABULARY:
            # The frequent words of a language are its short ones.
            syllables = min(5, 1 + len(words) // 400 + self._random.randrange(2))
            syllables = min(syllables, self._random.randrange(1, 6))
            words["".join(choose(_ONSETS) + choose(_MIDDLES) + choose(_ENDS)
                          for _ in range(syllables))] = None  # fmt: skip
        return list(words)

    def _name(self) -> str:
        return self._random.choice(self.words[200:5_000]).capitalize()

    def text(self, octets: int) -> str:
        """Lines of words, about so long."""
        words = self._random.choices(self.words, cum_weights=self._weights, k=octets // 6 + 1)
        for place in range(7, len(words), 11):
            words[place] += ".\r\n" if place % 3 else ", "
        return " ".join(words)[:octets]

    def letter(self, number: int) -> bytes:
        """The letter of this number, of about SMALLEST to LARGEST octets."""
        chosen = self._random
        octets = int(SMALLEST * (LARGEST / SMALLEST) ** chosen.random()) - 600
        name = f"{chosen.getrandbits(64):016x}"
        head = (
            f"Received: from mail{number % 50}.example.test (mail{number % 50}.example.test)\r\n"
            f"\tby mx.example.com with ESMTPS id {name[:12]}; {formatdate(BEGAN + 60 * number)}\r\n"
            f"Message-ID: <{name}.{number}@example.test>\r\n"
            f"Date: {formatdate(BEGAN + 60 * number)}\r\n"
            f"From: {chosen.choice(self._writers)}\r\n"
            f"To: {chosen.choice(self._writers)}, {chosen.choice(self._writers)}\r\n"
            f"Subject: {' '.join(self.text(40).split())}\r\n"
            "MIME-Version: 1.0\r\n"
        )
        text = self.text(max(octets, 100))
        kind = chosen.randrange(8)
        if kind < 2:
            return (head + _with_html(text, name)).encode()
        if kind == 2:
            body = base64.encodebytes(text.encode()).replace(b"\n", b"\r\n")
        elif kind == 3:
            body = quopri.encodestring(text.encode())
        else:
            body = text.encode()
        encoding = {2: "base64", 3: "quoted-printable"}.get(kind, "8bit")
        head += "Content-Type: text/plain; charset=utf-8\r\n"
        head += f"Content-Transfer-Encoding: {encoding}\r\n\r\n"
        return head.encode() + body

    def letters(self, count: int) -> Iterator[bytes]:
        return map(self.letter, range(count))


def _with_html(text: str, boundary: str) -> str:
    half = text[: len(text) // 2]
    html = "".join(f"<p>{line} <b>{line[:5]}</b></p>\r\n" for line in half.split("\r\n"))
    return (
        f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n'
        f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{half}\r\n"
        f"--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
        f"<html><body>{html}</body></html>\r\n--{boundary}--\r\n"
    )
