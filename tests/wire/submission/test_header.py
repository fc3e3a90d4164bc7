"""The submission header filter: every chunking alike, nothing touched but what is named, no Bcc."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.submission.header import FIRST_LINE_OCTETS, Header, HeaderFilter, additions
from tests.support.corpus import corpus_files, crlf, read

LIMIT = 4096
WHOLE = (
    b"From: Alice <alice@example.test>\r\nTo: bob@example.test\r\n"
    b"Date: Mon, 05 Jan 2026 10:01:00 +0100\r\nMessage-ID: <1@example.test>\r\n"
    b"Subject: bcc: none\r\n\tBcc: neither\r\n\r\nBcc: body\r\n"
)


def run(*pieces: bytes, limit: int = LIMIT, keeps_sender: bool = True) -> tuple[Header, bytes]:
    out: list[bytes] = []
    header_filter = HeaderFilter(out.append, limit, lambda _: keeps_sender)
    for piece in pieces:
        header_filter.write(piece)
    return header_filter.end(), b"".join(out)


def octet_by_octet(message: bytes) -> list[bytes]:
    return [message[at : at + 1] for at in range(len(message))]


def test_a_complete_message_passes_octet_for_octet() -> None:
    header, out = run(WHOLE)
    assert out == WHOLE
    assert header.has_date and header.has_message_id
    assert header.author == (b" Alice <alice@example.test>\r\n",)
    assert additions(header, date=b"d", message_id=b"m", author=b"", sender=b"") == b""


def test_one_piece_is_passed_on_as_the_one_it_was() -> None:
    pieces: list[bytes] = []
    HeaderFilter(pieces.append, LIMIT).write(WHOLE)
    assert pieces[0] is WHOLE


@pytest.mark.parametrize(
    "bcc",
    [
        b"Bcc: secret@far.test\r\n",
        b"BCC:secret@far.test\r\n",
        b"bCc \t: secret@far.test\r\n",
        b"Bcc:\r\n",
        b"Bcc: a@far.test,\r\n\tsecret@far.test,\r\n c@far.test\r\n",
        b"Bcc:\r\n secret@far.test\r\n \r\n",
        b"Resent-Bcc: secret@far.test\r\n",
        b"resent-BCC: x\r\nBcc: secret@far.test\r\nBcc: y\r\n",
    ],
)
@pytest.mark.parametrize("where", [0, 1, 2])
def test_bcc_is_taken_out_wherever_it_stands(bcc: bytes, where: int) -> None:
    lines = [b"Subject: x\r\n", b"X-Bcc: stays\r\n"]
    lines.insert(where, bcc)
    message = b"".join(lines) + b"\r\nBcc: body\r\n"
    expected = b"Subject: x\r\nX-Bcc: stays\r\n\r\nBcc: body\r\n"
    assert run(message)[1] == expected
    assert run(*octet_by_octet(message))[1] == expected


def test_a_name_folded_from_its_colon_is_one() -> None:
    out = run(b"Subject: x\r\nBcc\r\n : secret@far.test\r\n\r\n")[1]
    assert out == b"Subject: x\r\n\r\n"


def test_a_line_that_is_no_field_hides_nothing_behind_it() -> None:
    header, out = run(
        b"Subject: x\r\nno field at all\r\nBcc: s@far.test\r\nFrom: a@b.test\r\n\r\nx\r\n"
    )
    assert out == b"Subject: x\r\nno field at all\r\nFrom: a@b.test\r\n\r\nx\r\n"
    assert header.author == (b" a@b.test\r\n",)


@pytest.mark.parametrize(
    "message",
    [
        b"hello\r\nBcc: body\r\n\r\nmore\r\n",
        b" folded: from what?\r\nBcc: body\r\n",
        b"\tx\r\n",
        b"a line with blanks: no field\r\n\r\n",
        b": no name\r\n",
        b"\xc3\xa9t\xc3\xa9: not ASCII\r\n",
        b"x" * 2000 + b": too long a name\r\n",
        b"\x00\x01\x02",
        b"From here on: text\r\nmore text\r\n",
        b"From",
    ],
)
def test_text_without_a_header_is_all_body(message: bytes) -> None:
    header, out = run(message)
    assert (header, out) == (Header(is_there=False), message)
    assert run(*octet_by_octet(message)) == (header, message)
    added = additions(header, date=b"d", message_id=b"m", author=b"a", sender=b"")
    assert added == b"Date: d\r\nFrom: a\r\nMessage-ID: m\r\n\r\n"


@pytest.mark.parametrize("message", [b"", b"\r\n", b"\r\nBcc: body\r\n"])
def test_an_empty_header_is_one(message: bytes) -> None:
    assert run(message) == (Header(), message)
    assert additions(Header(), date=b"d", message_id=b"m", author=b"", sender=b"s") == (
        b"Date: d\r\nSender: s\r\nMessage-ID: m\r\n"
    )


def test_a_header_without_a_body_and_without_an_end() -> None:
    assert run(b"Subject: x\r\nBcc: a@b.test\r\n")[1] == b"Subject: x\r\n"
    assert run(b"Subject: x\r\nBcc: a@b.test")[1] == b"Subject: x\r\n"
    assert run(b"Bcc: a@b.test") == (Header(), b"")


@pytest.mark.parametrize("mark", [b"From alice Mon Jan  5 10:01:00 2026\r\n", b">From x\r\n"])
def test_the_line_of_a_mailbox_file_goes(mark: bytes) -> None:
    for rest in (WHOLE, b"\r\nbody\r\n"):
        assert run(mark + rest)[1] == rest
        assert run(*octet_by_octet(mark + rest))[1] == rest


def test_all_who_sent_it_are_seen() -> None:
    header, _ = run(
        b"FROM: a@b.test,\r\n c@d.test\r\nfrom :e@f.test\r\nSender: s@b.test\r\n"
        b"Resent-From: r@b.test\r\nResent-Sender: t@b.test\r\nFrom-X: no\r\n\r\n"
    )
    assert header.author == (b" a@b.test,\r\n c@d.test\r\n", b"e@f.test\r\n")
    assert header.sender == (b" s@b.test\r\n",)
    assert header.resent_author == (b" r@b.test\r\n",)
    assert header.resent_sender == (b" t@b.test\r\n",)


def test_a_sender_that_does_not_stay_is_handed_back() -> None:
    header, out = run(b"Subject: x\r\nSender:\r\n s@b.test\r\nTo: y\r\n\r\n", keeps_sender=False)
    assert out == b"Subject: x\r\nTo: y\r\n\r\n"
    assert (header.sender, header.sender_cut) == ((), b"Sender:\r\n s@b.test\r\n")


def test_S27_the_header_is_bounded() -> None:
    fits = b"X: " + b"a" * (LIMIT - 5) + b"\r\n"
    for pieces in ([fits + b"\r\nbody"], octet_by_octet(fits + b"\r\nbody")):
        assert run(*pieces) == (Header(), fits + b"\r\nbody")
    more = b"X: " + b"a" * (LIMIT - 4) + b"\r\n"
    for pieces in ([more + b"\r\nbody"], octet_by_octet(more + b"\r\nbody"), [more]):
        assert run(*pieces) == (Header(too_big=True), b"")
    out: list[bytes] = []
    header_filter = HeaderFilter(out.append, LIMIT)
    for _ in range(100):
        header_filter.write(b"X: " + b"a" * 1000 + b"\r\n")
    assert header_filter.header is not None and not out


# -- any message

_LINES = st.sampled_from(
    [
        b"Bcc: a@b.test", b"bCC :c@d.test", b"Resent-Bcc: e@f.test", b" folded", b"\tBcc: folded",
        b"", b" ", b"From: a@b.test", b"from\t: c@d.test", b"From x", b">From y", b"Sender: a@b.c",
        b"Date: x", b"Message-Id: <x>", b"Subject: y", b"no field", b"Bccx: y", b"X-Bcc: z",
        b"Resent-From: a@b.test", b"\xff\xfe: x", b"Bcc", b": x", b"z" * 1000, b"B", b".",
    ]
)  # fmt: skip
_ENDS = st.sampled_from([b"\r\n"] * 12 + [b""])
MESSAGES = st.lists(st.tuples(_LINES, _ENDS)).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


@given(message=MESSAGES, data=st.data(), keeps_sender=st.booleans())
def test_every_chunking_is_the_whole(
    message: bytes, data: st.DataObject, keeps_sender: bool
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(message)), max_size=12)))
    pieces = [message[a:b] for a, b in zip([0, *cuts], [*cuts, len(message)], strict=True)]
    limit = data.draw(st.sampled_from([LIMIT, 60]))
    whole = run(message, limit=limit, keeps_sender=keeps_sender)
    assert run(*pieces, limit=limit, keeps_sender=keeps_sender) == whole
    assert run(*octet_by_octet(message), limit=limit, keeps_sender=keeps_sender) == whole


def split(message: bytes) -> tuple[list[bytes], bytes]:
    """A slow and plain second opinion: the fields before the first empty line, and the rest."""
    head, end, rest = message.partition(b"\r\n\r\n")
    if message.startswith(b"\r\n"):
        return [], message
    fields: list[bytes] = []
    for line in re.split(rb"(?<=\n)", head + (b"\r\n" if end else b"")):
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += line
        elif line:
            fields.append(line)
    return fields, end[2:] + rest


@given(MESSAGES)
def test_no_bcc_survives_and_all_else_does(message: bytes) -> None:
    header, out = run(message)
    if header.too_big or not header.is_there:
        return
    fields, body = split(message)
    if fields and re.match(rb">?From ", fields[0]):
        del fields[0]
    hidden = re.compile(rb"(?:resent-)?bcc\s*:", re.IGNORECASE)
    assert out == b"".join(field for field in fields if not hidden.match(field)) + body
    assert not any(hidden.match(field) for field in split(out)[0])


# -- real messages

_CORPUS = corpus_files()


@pytest.mark.skipif(not _CORPUS, reason="../shared/corpus is missing")
def test_real_messages_pass_unchanged_but_for_bcc() -> None:
    changed = 0
    for path in _CORPUS:
        message = crlf(read(path))
        header, out = run(message, limit=2**20)
        pieces = [message[at : at + 97] for at in range(0, len(message), 97)]
        assert run(*pieces, limit=2**20) == (header, out), path.name
        if out != message:
            changed += 1
            _only_named_fields_are_gone(message, out, path)
    assert changed < len(_CORPUS) / 4


def _only_named_fields_are_gone(message: bytes, out: bytes, path: Path) -> None:
    fields, body = split(message)
    if re.match(rb">?From ", fields[0]):
        del fields[0]
    kept = [each for each in fields if not re.match(rb"(?i)(?:resent-)?bcc\s*:", each)]
    assert out == b"".join(kept) + body, path.name


def test_a_name_as_long_as_a_line_is_looked_for_no_further() -> None:
    long = b"x" * FIRST_LINE_OCTETS
    assert not run(long + b": y\r\n\r\n")[0].is_there
    assert run(long[2:] + b": y\r\n\r\n")[0].is_there
