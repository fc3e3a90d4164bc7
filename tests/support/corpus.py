"""Messages to try things on: written for the tests, the interpreter's own, and the shared corpus.

Owns where they are and how they are read; never changes one. The interpreter's messages and the
shared corpus may be missing: their lists are empty then, and ``parameters`` turns an empty list
into one skip that names what is missing.
"""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

_CHECKOUT = Path(__file__).resolve().parents[2]

BIG_ATTACHMENT_OCTETS = 10 * 1024 * 1024


def written_files() -> list[Path]:
    """``tests/data/messages``, listed in ``tests/data/README.md``."""
    return sorted((_CHECKOUT / "tests" / "data" / "messages").glob("*.eml"))


def cpython_files() -> list[Path]:
    """The messages of the interpreter's own email tests; Debian ships Python without them."""
    try:
        spec = importlib.util.find_spec("test.test_email")
    except ModuleNotFoundError:
        return []
    places = spec.submodule_search_locations if spec is not None else None
    return sorted(path for place in places or () for path in Path(place, "data").glob("*.txt"))


def corpus_files() -> list[Path]:
    """Real messages in ``../shared/corpus`` beside the checkout."""
    return sorted((_CHECKOUT.parent / "shared" / "corpus").glob("*.eml"))


def all_files() -> list[Path]:
    return written_files() + cpython_files() + corpus_files()


def crlf(octets: bytes) -> bytes:
    """The octets with every line end (CRLF, LF or CR) as CRLF."""
    return octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").replace(b"\n", b"\r\n")


def read(path: Path) -> bytes:
    """A message's octets; the interpreter's text files with CRLF line ends."""
    octets = path.read_bytes()
    return crlf(octets) if path.suffix == ".txt" else octets


def parameters(paths: Sequence[Path], missing: str) -> list[Any]:
    """Arguments for ``pytest.mark.parametrize``: one test a file, or one named skip.

    Args:
        missing: what to say when there are no files, such as ``../shared/corpus``.
    """
    if not paths:
        return [pytest.param(None, id="missing", marks=pytest.mark.skip(f"{missing} is missing"))]
    return [pytest.param(path, id=path.name) for path in paths]


def big_message(size_octets: int = BIG_ATTACHMENT_OCTETS) -> bytes:
    """A multipart message with one binary attachment of this size, the same every time."""
    pattern = bytes((index * index + index // 7) % 256 for index in range(65536))
    content = (pattern * (size_octets // len(pattern) + 1))[:size_octets]
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n")
    return (
        b"From: Bob Builder <bob@example.test>\r\n"
        b"To: Alice Liddell <alice@example.test>\r\n"
        b"Subject: Big attachment\r\n"
        b"Date: Mon, 05 Jan 2026 10:01:00 +0100\r\n"
        b"Message-ID: <big-attachment@example.test>\r\n"
        b"MIME-Version: 1.0\r\n"
        b'Content-Type: multipart/mixed; boundary="big"\r\n'
        b"\r\n"
        b"--big\r\n"
        b"Content-Type: text/plain; charset=us-ascii\r\n"
        b"\r\n"
        b"The file is attached.\r\n"
        b"--big\r\n"
        b'Content-Type: application/octet-stream; name="big.bin"\r\n'
        b'Content-Disposition: attachment; filename="big.bin"\r\n'
        b"Content-Transfer-Encoding: base64\r\n"
        b"\r\n" + encoded + b"--big--\r\n"
    )
