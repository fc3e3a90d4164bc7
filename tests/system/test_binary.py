"""Binary content (RFC 3030) from a real client to real readers, and on to another server."""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.support import corpus
from tests.support.bdat_client import BdatClient
from tests.support.binary_mail import contents_of, with_binary_parts
from tests.support.exim_receiving import receiving_exim
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, BOB, empty_inbox, inbox, maildrop, trusting
from tests.support.outbound import FRIEND, running

IMAGE = (bytes(range(256)) + b"\r\n--cut\r\r\n.\r\nQUIT\r\n--cut-- x\n--cut--\n") * 1000
TEXT = b"plain\r\n.text\r\n"


def message(subject: str) -> bytes:
    return (
        b"From: alice@example.test\r\nSubject: %b\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\n\r\n%b\r\n--cut\r\n"
        b"Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n%b\r\n--cut--\r\n"
    ) % (subject.encode(), TEXT, IMAGE)


def send(client: BdatClient, subject: str, recipient: str, size: int) -> None:
    octets = message(subject)
    chunks = [octets[at : at + size] for at in range(0, len(octets), size)]
    replies = client.send_chunks(ALICE[0], [recipient], chunks, options="BODY=BINARYMIME")
    assert [code for code, _ in replies] == [250] * len(chunks)


def check(arrived: bytes) -> None:
    text, image = (part.get_payload(decode=True) for part in parts(arrived))
    assert (text, image) == (TEXT, IMAGE)
    assert b"\0" not in arrived and max(map(len, arrived.split(b"\r\n"))) <= 998


def parts(octets: bytes) -> list[Message]:
    found = message_from_bytes(octets).get_payload()
    assert isinstance(found, list)
    return [each for each in found if isinstance(each, Message)]


@pytest.mark.parametrize("size", [997, 10_000_000])
def test_every_octet_of_an_image_is_read_by_imap_and_pop3(demo: Demo, size: int) -> None:
    empty_inbox(demo.port(143))
    with BdatClient("127.0.0.1", demo.port(25), "client.example", timeout=60) as client:
        client.ehlo()
        assert client.has_extn("binarymime")
        send(client, "strangers", BOB[0], size)
    with BdatClient("127.0.0.1", demo.port(587), "client.example", timeout=60) as client:
        client.starttls(context=trusting())
        client.login(*ALICE)
        send(client, "submitted", BOB[0], size)
    arrived = inbox(demo.port(143))
    assert len(arrived) == 2 and maildrop(demo.port(110)) == arrived
    for each in arrived:
        check(each)


def test_real_messages_with_their_parts_made_binary(demo: Demo) -> None:
    empty_inbox(demo.port(143))
    sent: list[list[bytes]] = []
    with BdatClient("127.0.0.1", demo.port(25), "client.example", timeout=60) as client:
        for path in [*corpus.written_files(), *corpus.corpus_files()[::20]]:
            made, contents = with_binary_parts(corpus.crlf(corpus.read(path)))
            options = "BODY=BINARYMIME"
            ((code, text),) = client.send_chunks(ALICE[0], [BOB[0]], [made], options=options)
            if code == 250:
                sent.append(contents)
            else:
                assert b"NUL" in text or b"signed" in text or b"loop" in text, (path, text)
    assert len(sent) >= 20
    for each, contents in zip(inbox(demo.port(143)), sent, strict=True):
        assert contents_of(each) == contents


def test_it_is_sent_on_as_text(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d")
    with receiving_exim() as exim:
        settings = f'[outbound]\nsmart_host = "smtp://127.0.0.1:{exim.port}"\n'
        with running(demo, settings):
            with BdatClient("127.0.0.1", demo.port(587), "client.example", timeout=60) as client:
                client.starttls(context=trusting())
                client.login(*ALICE)
                send(client, "sent on", FRIEND, 100_000)
            check(exim.with_mark(b"Subject: sent on").replace(b"\n", b"\r\n"))
