"""Binary content made ordinary MIME: what is encoded, what stays, what is refused."""

from __future__ import annotations

import pytest

from gateway.wire.mime.binary_parts import BinaryParts
from gateway.wire.mime.budget import MAX_DELIMITER_CANDIDATES, MAX_DEPTH, MAX_FIELDS, MAX_PARTS
from gateway.wire.mime.part_stream import MAX_DELIMITER_OCTETS
from tests.support.binary_mail import HEADER_OCTETS, leaves, octet_by_octet, run

EVERY_OCTET = bytes(range(256)) * 5


def converted(message: bytes) -> bytes:
    """The same by every way in which its octets may come."""
    out, problem = run(message)
    assert problem == ""
    assert run(*octet_by_octet(message)) == (out, "")
    for step in (2, 3, 7):
        pieces = [message[at : at + step] for at in range(0, len(message), step)]
        assert run(*pieces) == (out, "")
    return out


def problem_of(message: bytes, limit: int = HEADER_OCTETS) -> str:
    """Why it is refused, however it comes; nothing unfit was written before."""
    out, problem = run(message, limit=limit)
    slow, same = run(*octet_by_octet(message), limit=limit)
    assert problem == same != ""
    for written in (out, slow):
        assert b"\0" not in written
        assert written.count(b"\n") == written.count(b"\r\n") == written.count(b"\r")
    return problem


def multipart(*parts: bytes, boundary: bytes = b"b", head: bytes = b"") -> bytes:
    """Parts with their headers, between delimiters."""
    return (
        head
        + b'Content-Type: multipart/mixed; boundary="%b"\r\n\r\n' % boundary
        + b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts)
        + b"--%b--\r\n" % boundary
    )


def binary(content: bytes, kind: bytes = b"image/png") -> bytes:
    return b"Content-Type: " + kind + b"\r\nContent-Transfer-Encoding: binary\r\n\r\n" + content


# -- what is encoded


def test_a_message_that_is_one_binary_part() -> None:
    out = converted(b"Subject: x\r\nMIME-Version: 1.0\r\n" + binary(EVERY_OCTET))
    head, _, body = out.partition(b"\r\n\r\n")
    assert head == (
        b"Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: image/png\r\n"
        b"Content-Transfer-Encoding: base64"
    )
    assert leaves(out) == [EVERY_OCTET]
    assert max(map(len, body.split(b"\r\n"))) == 76 and body.endswith(b"=\r\n")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 113, 114, 115, 1000])
def test_a_part_of_any_size(size: int) -> None:
    content = EVERY_OCTET[:size]
    out = converted(multipart(binary(content), binary(content)))
    assert leaves(out) == [content, content]
    assert out.count(b"\r\n\r\n\r\n") == (0 if size else 2), "no line is empty"


def test_all_else_stays_octet_for_octet() -> None:
    text = b"Content-type: text/plain; charset=utf-8\r\n\r\nl\xc3\xa4nger\r\n" + b"x" * 2000
    inner = multipart(text, binary(b"a\0b"), boundary=b"inner")
    wrapped = b"Content-Type: message/rfc822\r\n\r\nSubject: inside\r\n" + inner
    message = multipart(text, binary(b"\r\n"), wrapped, head=b"X-Odd :  \tvalue\r\n  folded\r\n")
    message = message.replace(b"\r\n\r\n--b\r\n", b"\r\n\r\nprologue --b\r\n--b\r\n", 1)
    message += b"epilogue\r\n--b\r\nstill the same"
    out = converted(message)
    for content, encoded in ((b"a\0b", b"YQBi"), (b"\r\n\r\n--b", b"DQo=\r\n--b")):
        message = message.replace(
            b"Transfer-Encoding: binary\r\n\r\n" + content,
            b"Transfer-Encoding: base64\r\n\r\n" + encoded,
            1,
        )
    assert out == message


@pytest.mark.parametrize(
    ("field", "becomes"),
    [
        (b"content-transfer-ENCODING: BINARY\r\n", b"content-transfer-ENCODING: base64\r\n"),
        (b"Content-Transfer-Encoding:binary\r\n", b"Content-Transfer-Encoding: base64\r\n"),
        (
            b"Content-Transfer-Encoding :\r\n\tBinary \r\n",
            b"Content-Transfer-Encoding : base64\r\n",
        ),
        (
            b"Content-Transfer-Encoding: (no (7bit)) binary (as it is)\r\n",
            b"Content-Transfer-Encoding: base64\r\n",
        ),
        (b'Content-Transfer-Encoding: "binary"; x=y\r\n', b"Content-Transfer-Encoding: base64\r\n"),
    ],
)
def test_the_field_however_it_is_written(field: bytes, becomes: bytes) -> None:
    before, after = b"Content-Type: image/png\r\n", b"Content-ID: <binary@x>\r\n"
    for message in (before + field + after + b"\r\n\0", field + after + before + b"\r\n\0"):
        assert converted(message) == message.replace(field, becomes).replace(b"\0", b"AA==\r\n")


def test_a_header_without_an_end_gets_one() -> None:
    part = b"X: y\r\nContent-Transfer-Encoding: binary\r\n"
    assert converted(part + b"no field: \0").endswith(b"base64\r\n\r\nbm8gZmllbGQ6IAA=\r\n")
    assert b"base64\r\n\r\n--b" in converted(multipart(part)).replace(b"\r\n" * 3, b"\r\n" * 2)


@pytest.mark.parametrize("kind", [b"multipart/mixed; boundary=i", b"message/rfc822"])
def test_composite_parts_become_8bit(kind: bytes) -> None:
    inside = b"--i\r\n" + binary(b"\0") + b"\r\n--i--" if kind[1:2] == b"u" else binary(b"\0")
    out = converted(multipart(binary(inside, kind), head=b"Content-Transfer-Encoding: Binary\r\n"))
    assert out.count(b"Content-Transfer-Encoding: 8bit\r\n") == 2
    assert leaves(out) == [b"\0"]


def test_an_encoded_message_stays_closed() -> None:
    """RFC 2045 section 6.4 forbids it; nothing may be changed inside all the same."""
    inside = b"Content-Transfer-Encoding: binary\r\n\r\nx=20y"
    message = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    assert converted(message + inside) == message + inside


def test_a_message_global_is_a_leaf() -> None:
    assert leaves(converted(binary(b"From: \xc3\xa4@x\r\n\r\n\0", b"message/global"))) != []
    out = converted(binary(b"Subject: \0\r\n\r\n", b"message/global"))
    assert out.endswith(b"base64\r\n\r\nU3ViamVjdDogAA0KDQo=\r\n")


def test_a_digest_holds_messages() -> None:
    part = b"\r\nContent-Transfer-Encoding: binary\r\n\r\n\0"
    digest = multipart(part).replace(b"mixed", b"digest")
    assert b"Content-Transfer-Encoding: base64\r\n\r\nAA==\r\n--b--" in converted(digest)
    assert "NUL" in problem_of(multipart(part))


@pytest.mark.parametrize(
    "message",
    [
        b"", b"\r\n", b"no header at all\r\n", b"Subject: x\r\n\r\nplain text\r\n", b"Subject: x",
        b"From a@b Thu\r\nSubject: x\r\n\r\n--b\r\n",
        b"Content-Type: multipart/mixed\r\n\r\n--\r\n",
        b"Subject: x\r\nnot a field\r\nContent-Transfer-Encoding: binary\r\n\r\nx",
    ],
)  # fmt: skip
def test_text_without_binary_parts_stays(message: bytes) -> None:
    assert converted(message) == message


# -- delimiters


@pytest.mark.parametrize(
    "content",
    [
        b"\r\n--", b"\r\n--x", b"\r\n--bb\r\n", b"\r\n--b-\r\n", b"\r\n--b---\r\n", b"\r\n-\r\n--",
        b"\n--b\r\n", b"\r--b\r\n", b"--", b"--bx\r\n", b"\r\n--b\rx", b"\r\n--b x\r\n",
        b"\r\n--b \n\r\n", b"\r\r\n", b"\r\n\r", b"\r\n --b\r\n", b"\r\n--B\r\n", b"\r", b"\n",
        b"\r\n--" + b"b" * 3000 + b"\r\n", b"\r\n--a\r\n" * 300, b"\r\n--b" + b" " * 500 + b"x",
    ],
)  # fmt: skip
def test_S13_look_alikes_in_binary_content_are_content(content: bytes) -> None:
    assert leaves(converted(multipart(binary(content), binary(content + b"\0")))) == [
        content,
        content + b"\0",
    ]


def test_every_cut_through_a_delimiter() -> None:
    message = multipart(binary(b"\r\n--b\r\r\n--"), b"\r\ntext", binary(b"\0"))
    out, problem = run(message)
    assert problem == "" and leaves(out) == [b"\r\n--b\r\r\n--", b"text", b"\0"]
    for first in range(len(message)):
        assert run(message[:first], message[first:]) == (out, "")


def test_an_outer_delimiter_ends_what_is_inside() -> None:
    inner = b"Content-Type: multipart/mixed; boundary=b1\r\n\r\n--b1\r\n" + binary(b"\0")
    out = converted(multipart(inner, binary(b"\1")))
    assert leaves(out) == [b"\0", b"\1"]
    longer = b"Content-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n" + binary(b"\r\n--b1\r\n")
    assert leaves(converted(multipart(longer, binary(b"\1")))) == [b"\r\n--b1\r\n", b"\1"]


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n--", b"\r\n--b-", b"\r\n\r", b"\r"])
def test_without_the_last_delimiter_all_is_content(end: bytes) -> None:
    message = multipart(binary(b"x" + end)).removesuffix(b"\r\n--b--\r\n")
    assert leaves(converted(message)) == [b"x" + end]


@pytest.mark.parametrize("end", [b"--b--", b"--b--  ", b"--b", b"--b\r\nContent-Type: text/plain"])
def test_the_end_may_come_within_a_line(end: bytes) -> None:
    out = converted(multipart(binary(b"\0")).removesuffix(b"--b--\r\n") + end)
    assert out.endswith(b"AA==\r\n" + end)


def test_blanks_behind_a_delimiter_are_bounded() -> None:
    most = MAX_DELIMITER_OCTETS - 5
    message = multipart(binary(b"\0"), binary(b"\1"))
    padded = message.replace(b"--b\r\n", b"--b" + b" " * most + b"\r\n")
    assert leaves(converted(padded)) == [b"\0", b"\1"]
    assert problem_of(message.replace(b"--b\r\n", b"--b" + b" " * (most + 1) + b"\r\n"))


# -- what is refused


@pytest.mark.parametrize("unfit", [b"\0", b"x\ny", b"x\ry", b"\r\r\n"])
def test_S14_unfit_octets_outside_binary_parts(unfit: bytes) -> None:
    part = b"\r\ntext"
    for message in (
        b"Subject: x\r\n\r\n" + unfit + b"\r\n",
        b"Subject: " + unfit + b"\r\n\r\n",
        unfit,
        multipart(part + unfit),
        multipart(b"X: " + unfit + b"\r\n\r\n"),
        multipart(b"Content-Transfer-Encoding: 8bit\r\n\r\n" + unfit),
        multipart(part).replace(b"\r\n\r\n--b", b"\r\n\r\n" + unfit + b"\r\n--b", 1),
        multipart(binary(b"\0")) + unfit,
        binary(unfit, b"multipart/mixed"),
        binary(b"\r\n" + unfit, b"message/rfc822"),
        binary(unfit, b"message/partial"),
        b"X: y\r\nno field " + unfit + b"\r\n" + binary(b""),
    ):
        assert "outside the parts" in problem_of(message)


def test_S14_nothing_hides_behind_a_lone_newline_in_a_header() -> None:
    assert problem_of(b"X: y\nContent-Transfer-Encoding: binary\r\n\r\n\0")
    assert problem_of(b"X: y\r\n\nContent-Transfer-Encoding: binary\r\n\r\n\0")


def test_a_signed_part_is_never_changed() -> None:
    plain, signature = b"\r\ntext", binary(b"\0", b"application/pkcs7-signature")
    signed = multipart(plain, signature, boundary=b"s").replace(b"mixed", b"signed")
    assert leaves(converted(multipart(signed, binary(b"\1")))) == [b"text", b"\0", b"\1"]
    for content in (binary(b"x"), multipart(binary(b"x"), boundary=b"i"),
                    b"Content-Type: message/rfc822\r\n\r\n" + binary(b"x")):  # fmt: skip
        message = signed.replace(plain, content)
        parts = BinaryParts(lambda _: None, HEADER_OCTETS)
        parts.write(message)
        assert parts.problem is not None and parts.problem.signed
        assert "RFC 1847" in problem_of(message)
        # An empty place before it makes it no other part.
        assert problem_of(message.replace(b"--s\r\n", b"--s\r\n--s\r\n", 1))


def test_fields_that_say_two_things() -> None:
    for field in (b"Content-Type: text/html", b"Content-Transfer-Encoding: 7bit"):
        twice = binary(b"x").replace(b"\r\n\r\n", b"\r\n" + field + b"\r\n\r\n")
        assert "more than once" in problem_of(twice)
    # The first counts, as it does for all who read it later.
    text = b"Content-Transfer-Encoding: 7bit\r\n" + binary(b"x")
    assert converted(text) == text


# -- limits


def test_S27_a_header_is_bounded() -> None:
    for head in (b"", b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"):
        fits = head + b"X: " + b"a" * 95 + b"\r\n\r\n" + b"y" * 200
        assert run(fits, limit=102) == run(*octet_by_octet(fits), limit=102) == (fits, "")
        for more in (b"X: " + b"a" * 200, b"X: y\r\n" * 40 + b"\r\n"):
            assert "larger than allowed" in problem_of(head + more, limit=102)


def test_nesting_is_bounded() -> None:
    message = binary(b"\0")
    for level in range(MAX_DEPTH):
        message = multipart(message, boundary=b"b%d" % level)
    assert leaves(run(message)[0]) == [b"\0"]
    assert "nested deeper than 100" in run(multipart(message))[1]
    wrapper = b"Content-Type: message/rfc822\r\n\r\n"
    assert run(wrapper * MAX_DEPTH + binary(b"\0"))[1] == ""
    assert "nested deeper" in run(wrapper * (MAX_DEPTH + 1) + binary(b"\0"))[1]


def test_the_number_of_parts_is_bounded() -> None:
    most = multipart(*(binary(b"%d\0" % number) for number in range(MAX_PARTS - 1)))
    assert leaves(run(most)[0]) == [b"%d\0" % number for number in range(MAX_PARTS - 1)]
    assert "parts" in run(multipart(*[b"\r\n"] * MAX_PARTS))[1]


def test_the_work_is_bounded() -> None:
    lines = MAX_FIELDS // 10 * b"a:b\r\n" + b"\r\n"
    assert "header fields" in run(multipart(*[lines] * 11), limit=len(lines))[1]
    candidates = b"\r\n--" * (MAX_DELIMITER_CANDIDATES + 1)
    assert "boundary delimiters" in run(multipart(binary(candidates)))[1]


@pytest.mark.parametrize("piece", [b"\0" * 5000, b"\r\n--c" * 1000, b"\r\n--" + b"b" * 4996])
def test_S12_a_part_streams(piece: bytes) -> None:
    out: list[bytes] = []
    parts = BinaryParts(out.append, HEADER_OCTETS)
    parts.write(multipart(binary(b"")).removesuffix(b"\r\n--b--\r\n"))
    for number in range(1, 101):
        parts.write(piece)
        assert parts.problem is None
        held = number * len(piece) * 4 // 3 - sum(map(len, out))
        assert held < 2 * MAX_DELIMITER_OCTETS
