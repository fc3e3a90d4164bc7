"""8-bit messages made 7-bit: what comes out has the same parts with the same content (S28)."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from quopri import decodestring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.mime.downgrade import Downgrade, Survey, downgraded
from gateway.wire.mime.part_rewriting import Unconvertible
from gateway.wire.mime.quoted_printable import HELD_OCTETS, QuotedLines

TEXT = "Grüße aus dem Büro\r\n.\r\nFrom x\r\nende \t\r\n".encode()
HEADER = b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
EIGHT = b"Content-Transfer-Encoding: 8bit\r\n"


def surveyed(octets: bytes, step: int = 65_536) -> Survey:
    survey = Survey()
    for start in range(0, len(octets), step):
        survey.feed(octets[start : start + step])
    survey.end()
    return survey


def converted(octets: bytes, step: int = 65_536) -> bytes:
    survey = surveyed(octets, step)
    assert survey.problem == ""
    downgrade = Downgrade(survey.encodings)
    out = b"".join(
        downgrade.feed(octets[start : start + step]) for start in range(0, len(octets), step)
    )
    out += downgrade.finish()
    assert out.isascii()
    assert len(out) <= survey.size_octets + 10 + len(out) // 20
    return out


def parsed(octets: bytes) -> Message:
    return message_from_bytes(octets, policy=policy.compat32)


def contents(message: Message) -> list[bytes | object]:
    return [
        part.get_payload(decode=True).replace(b"\r\n", b"\n").rstrip(b"\n")  # type: ignore[union-attr]
        for part in message.walk()
        if not part.is_multipart()
    ]


def lines_are_short(octets: bytes) -> bool:
    return all(len(line) <= 76 for line in octets.split(b"\r\n\r\n", 1)[1].split(b"\r\n"))


def test_text_becomes_quoted_printable() -> None:
    out = converted(HEADER + EIGHT + b"\r\n" + TEXT)
    assert out.startswith(HEADER + b"Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC")
    assert contents(parsed(out)) == [TEXT.replace(b"\r\n", b"\n").rstrip(b"\n")]
    assert b"ende =09\r\n" in out and out.endswith(b"\r\n") and not out.endswith(b"\r\n\r\n")


def test_what_would_be_all_signs_becomes_base64() -> None:
    out = converted(HEADER + b"\r\n" + "Здравствуйте\r\n".encode() * 50)
    assert b"Content-Transfer-Encoding: base64\r\n\r\n" in out
    assert contents(parsed(out)) == [("Здравствуйте\n" * 50).rstrip("\n").encode()]
    assert lines_are_short(out)


def test_what_is_ascii_stays_octet_for_octet() -> None:
    part = b"--b\r\nContent-Type: text/plain\r\n\r\nplain = text   \r\n"
    message = (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n' + EIGHT
        + b"\r\n" + part + b"--b\r\n" + HEADER + EIGHT + b"\r\n" + TEXT + b"\r\n--b--\r\n"
    )  # fmt: skip
    out = converted(message)
    assert part in out and out.count(b"quoted-printable") == 1
    assert b"Content-Transfer-Encoding: 7bit" in out, "RFC 2045 section 6.4, of the multipart"


def test_parts_in_parts_and_wrapped_messages_are_converted() -> None:
    inner = b"Subject: inner\r\n" + HEADER + b"\r\n" + TEXT
    message = (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="a"\r\n\r\n'
        b'--a\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n--b\r\n'
        + HEADER + b"\r\n" + TEXT + b"\r\n--b--\r\n--a\r\nContent-Type: message/rfc822\r\n" + EIGHT
        + b"\r\n" + inner + b"\r\n--a--\r\n"
    )  # fmt: skip
    out = converted(message)
    assert out.count(b"quoted-printable") == 2
    assert contents(parsed(out)) == contents(parsed(message))
    assert b"message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n" in out


def test_a_message_that_says_nothing_of_its_octets_says_so_then() -> None:
    out = converted(b"Subject: x\r\n\r\n" + TEXT)
    assert b"MIME-Version: 1.0\r\n" in out, "RFC 1428 section 3"
    assert b"Content-Type: text/plain; charset=unknown-8bit\r\n" in out


def test_a_message_of_utf8_inside_is_encoded_whole() -> None:
    message = HEADER.replace(b"text/plain; charset=utf-8", b"message/global") + b"\r\n" + TEXT
    assert b"base64" in converted(message) or b"quoted-printable" in converted(message)


SIGNED = (
    b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary="s"\r\n\r\n--s\r\n'
    + HEADER + b"\r\n%b\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--s--\r\n"
)  # fmt: skip


@pytest.mark.parametrize(
    "message, word",
    [
        (SIGNED.replace(b"%b", TEXT), "signed"),
        ("Subject: Grüße\r\n\r\nx\r\n".encode(), "header"),
        (HEADER + b"Content-Transfer-Encoding: base64\r\n\r\n" + TEXT, "Encoding"),
        (b"Content-Type: message/partial; id=x\r\n\r\n" + TEXT, "message"),
        (HEADER + EIGHT + EIGHT + b"\r\n" + TEXT, "twice"),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + TEXT + b"\r\n--b\r\n", "outside"),
        (b"Content-Type: multipart/mixed\r\n\r\n" + TEXT, "outside"),
    ],
    ids=["signed", "header", "encoded", "partial", "twice", "preamble", "no boundary"],
)
def test_what_must_not_be_touched_is_refused_with_a_reason(message: bytes, word: str) -> None:
    problem = surveyed(message).problem
    assert word in problem and problem.isascii()


def test_a_signed_part_that_is_ascii_stays() -> None:
    message = SIGNED.replace(b"%b", b"plain") + b"epilogue\r\n"
    assert downgraded(message, surveyed(message).encodings) == message


def test_another_message_than_the_surveyed_one_is_never_sent() -> None:
    with pytest.raises(Unconvertible):
        downgraded(HEADER + b"\r\n" + TEXT, ())


def test_line_ends_are_made_whole_on_the_way() -> None:
    assert converted(HEADER.replace(b"\r\n", b"\n") + b"\ngr\xc3\xbcn\rx\n").endswith(
        b"\r\n\r\ngr=C3=BCn\r\nx\r\n"
    )


@given(
    st.lists(st.sampled_from([b"a", b" ", b"\t", b"=", b".", b"\r\n", b"\xfc", b"\0", b"x" * 80])),
    st.integers(min_value=1, max_value=30),
)
def test_the_octets_survive_whatever_pieces_they_come_in(pieces: list[bytes], step: int) -> None:
    body = b"".join(pieces) + b"\xfc\r\n"
    out = converted(HEADER + EIGHT + b"\r\n" + body, step)
    assert lines_are_short(out)
    assert out == converted(HEADER + EIGHT + b"\r\n" + body)
    if b"quoted-printable" in out:
        encoded = out.split(b"\r\n\r\n", 1)[1]
        assert decodestring(encoded.replace(b"\r\n", b"\n")) == body.replace(b"\r\n", b"\n")


def test_M2_a_line_without_end_is_not_held() -> None:
    encoder = QuotedLines()
    out = b"".join(encoder.feed(b"\xfc" * 1000) for _ in range(100))
    assert len(out) > 3 * 90_000 and len(encoder._held) <= HELD_OCTETS
    assert decodestring((out + encoder.end()).replace(b"\r\n", b"\n")) == b"\xfc" * 100_000


def test_messages_of_a_mail_program_survive() -> None:
    message = EmailMessage(policy=policy.SMTP.clone(cte_type="8bit"))
    message["Subject"] = "plain"
    message.set_content("Grüße\n" * 10, cte="8bit")
    message.add_alternative("<p>Grüße</p>", subtype="html", cte="8bit")
    message.add_attachment(bytes(range(256)), "application", "octet-stream")
    octets = message.as_bytes()
    assert contents(parsed(converted(octets))) == contents(parsed(octets))
