"""Line ends, packed files and dates of message files."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Callable

import pytest

from gateway.transfer import octets
from gateway.transfer.octets import header_date, unpacked, with_crlf, with_lf
from gateway.transfer.values import MessageFailed

TEXT = b"Subject: a\n\nline\r\n\rx\r\r\n\n\n"
CRLF = b"Subject: a\r\n\r\nline\r\n\rx\r\r\n\r\n\r\n"
LF = b"Subject: a\n\nline\n\rx\r\n\n\n"


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@pytest.mark.parametrize("size", range(1, 9))
def test_line_ends_do_not_depend_on_where_pieces_end(size: int) -> None:
    assert b"".join(with_crlf(cut(TEXT, size))) == CRLF
    assert b"".join(with_crlf(cut(CRLF, size))) == CRLF
    assert b"".join(with_lf(cut(CRLF, size))) == LF


def test_a_last_carriage_return_stays() -> None:
    assert b"".join(with_lf([b"a\r"])) == b"a\r"


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_packed_files_are_read(pack: type[bytes]) -> None:
    assert b"".join(unpacked(io.BytesIO(pack(TEXT)))) == TEXT


def test_what_cannot_be_unpacked_is_told() -> None:
    with pytest.raises(MessageFailed, match="zstd"):
        unpacked(io.BytesIO(b"\x28\xb5\x2f\xfd..."))
    with pytest.raises(MessageFailed, match="cannot be read"):
        b"".join(unpacked(io.BytesIO(gzip.compress(TEXT)[:-9])))


def test_a_packed_file_does_not_fill_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(octets, "MAX_MESSAGE_OCTETS", 1_000_000)
    bomb = gzip.compress(bytes(5_000_000))
    taken = 0
    with pytest.raises(MessageFailed, match="octets"):
        for piece in unpacked(io.BytesIO(bomb)):
            taken += len(piece)
    assert taken <= 1_000_000


@pytest.mark.parametrize(
    ("header", "date"),
    [
        (
            b"Received: from a\n by b; Mon, 3 Feb 2003 10:00:00 +0100\nReceived: c; 1 Jan 2001\n",
            1044262800,
        ),
        (b"Date: Mon, 3 Feb 2003 09:00:00 GMT\r\n\r\nReceived: x; 1 Jan 2001\r\n", 1044262800),
        (b"Received: nonsense\nDate: also\n\n", None),
        (b"", None),
    ],
)
def test_dates_come_from_the_topmost_received_line(header: bytes, date: int | None) -> None:
    assert header_date(header) == date


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_small_file_does_not_become_a_large_message(
    monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]
) -> None:
    monkeypatch.setattr(octets, "USUAL_OCTETS", 1_000_000)
    assert sum(map(len, unpacked(io.BytesIO(pack(bytes(900_000)))))) == 900_000
    with pytest.raises(MessageFailed, match="times larger"):
        sum(map(len, unpacked(io.BytesIO(pack(bytes(5_000_000))))))


def test_no_file_says_how_much_memory_it_takes() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}]
    bomb = lzma.compress(b"From: a", lzma.FORMAT_XZ, filters=filters)
    with pytest.raises(MessageFailed, match="usage limit"):
        list(unpacked(io.BytesIO(bomb)))
