"""Queued messages as files: whole, private, and never over what is there."""

from __future__ import annotations

import json
import mailbox
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.transfer.queue_files import MBOX_NAME, EmlFolder, FileThere, MboxOfQueue

MESSAGE = b"Subject: hello\r\n\r\nFrom here\r\n.\r\nto there"


def envelope(queue_id: str = "0000002A", **fields: Any) -> dict[str, Any]:
    return {
        "id": queue_id,
        "sender": "<alice@x.example>",
        "created_at": 1_700_000_000,
        "recipients": [{"address": "grün@y.example"}, {"address": "bcc@z.example"}],
        **fields,
    }


def in_pieces(octets: bytes, size: int = 3) -> Iterator[bytes]:
    for start in range(0, len(octets), size):
        yield octets[start : start + size]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_an_eml_is_the_message_octet_by_octet_with_its_envelope_beside_it(tmp_path: Path) -> None:
    folder = EmlFolder(tmp_path / "new")
    folder.add(envelope(), in_pieces(MESSAGE))
    folder.keep()
    eml, sidecar = (tmp_path / "new" / f"0000002A.{end}" for end in ("eml", "json"))
    assert eml.read_bytes() == MESSAGE
    assert json.loads(sidecar.read_text("utf-8")) == envelope()
    assert mode(eml) == mode(sidecar) == 0o600 and mode(eml.parent) == 0o700


@pytest.mark.parametrize("there", ["0000002A.eml", "0000002A.json"])
def test_what_is_there_is_left_as_it_is(tmp_path: Path, there: str) -> None:
    (tmp_path / there).write_bytes(b"mine")
    folder = EmlFolder(tmp_path)
    with pytest.raises(FileThere, match="nothing is overwritten"):
        folder.add(envelope(), [MESSAGE])
    folder.add(envelope("0000002B"), [MESSAGE])
    folder.keep()
    assert (tmp_path / there).read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_link_that_somebody_laid_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "0000002A.eml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileThere):
        EmlFolder(tmp_path).add(envelope(), [MESSAGE])
    assert not (tmp_path / "elsewhere").exists()


def broken() -> Iterator[bytes]:
    yield MESSAGE
    raise OSError("the disk is full")


def test_what_cannot_be_written_whole_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = EmlFolder(tmp_path / "e")
    with pytest.raises(OSError, match="full"):
        folder.add(envelope(), broken())
    assert not list((tmp_path / "e").iterdir())
    mbox = MboxOfQueue(tmp_path / "m")
    mbox.add(envelope(), [MESSAGE])
    with pytest.raises(OSError, match="full"):
        mbox.add(envelope("0000002B"), broken())
    mbox.add(envelope("0000002C"), [MESSAGE])
    mbox.keep()
    mbox.close()
    found = mailbox.mbox(tmp_path / "m" / MBOX_NAME)
    assert [each["X-Queue-Id"] for each in found] == ["0000002A", "0000002C"]
    found.close()


def test_an_mbox_has_the_envelope_in_its_header_and_only_ours(tmp_path: Path) -> None:
    forged = b"X-Queue-Recipient: <victim@v.example>,\r\n <another@v.example>\r\nSubject: hello\r\n"
    mbox = MboxOfQueue(tmp_path)
    mbox.add(envelope(), in_pieces(forged + b"\r\nFrom here\r\n>From there\r\n"))
    mbox.add(envelope("0000002B", sender="<>", recipients=[]), [b"\r\nno header"])
    mbox.keep()
    mbox.close()
    text = (tmp_path / MBOX_NAME).read_bytes()
    assert b"victim" not in text and b"another@" not in text and b"\r" not in text
    found = mailbox.mbox(tmp_path / MBOX_NAME)
    first, second = found
    assert first["X-Queue-Sender"] == "<alice@x.example>"
    assert first.get_all("X-Queue-Recipient", [])[1] == "<bcc@z.example>"
    assert first["Subject"] == "hello"
    assert b">From here\n>>From there\n" in text
    assert second["X-Queue-Sender"] == "<>" and str(second.get_payload()).strip() == "no header"
    found.close()
    with pytest.raises(FileThere):
        MboxOfQueue(tmp_path)


def test_a_line_break_in_an_envelope_makes_no_header_line(tmp_path: Path) -> None:
    mbox = MboxOfQueue(tmp_path)
    mbox.add(envelope(sender='<"a\nBcc: b@c"@x.example>'), [MESSAGE])
    mbox.keep()
    mbox.close()
    assert b"\nBcc:" not in (tmp_path / MBOX_NAME).read_bytes()
