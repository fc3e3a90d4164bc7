"""Binary content (RFC 3030): by BDAT to a real Exim where it is text in fact, or back."""

from __future__ import annotations

import time
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from gateway.core.address import Address
from gateway.core.envelope import BodyKind, MessageOptions
from gateway.core.messages import NewMessage, QueuedRecipient
from gateway.store.store import Store
from tests.support.exim_receiving import receiving_exim
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, inbox
from tests.support.outbound import FRIEND, running
from tests.support.pump import Pump
from tests.support.waiting import eventually

TEXT = b"Subject: chunked\r\n\r\n.dot\r\n8-bit \xe4\r\nno end of line"
BINARY = b"Subject: binary\r\n\r\nlone\nline feeds and a NUL \0\r\n"


def queue(state_dir: Path, *messages: bytes) -> None:
    """Lay messages into the queue of a gateway that does not run."""
    pump = Pump()
    store = Store.open(state_dir, call_from_thread=pump.call_from_thread, wall_clock=time.time)
    for number, octets in enumerate(messages):
        body = store.open_body()
        body.write(octets)
        message = NewMessage(
            ingest_id=f"binary-{number}",
            sender=Address(*ALICE[0].split("@")),
            local_header=b"",
            trace_header=b"",
            body=body,
            local=(),
            remote=(QueuedRecipient(Address(*FRIEND.split("@"))),),
            received_at=int(time.time()),
            options=MessageOptions(BodyKind.BINARY),
        )
        pump.wait(store.accept(message))
    pump.wait(store.close())


def test_S28_binary_content_goes_as_it_is_or_comes_back(tmp_path: Path) -> None:
    demo = Demo(tmp_path / "d")
    with receiving_exim() as exim:
        settings = f'[outbound]\nsmart_host = "smtp://127.0.0.1:{exim.port}"\n'
        queue(demo.folder / "state", TEXT, BINARY)
        with running(demo, settings):
            arrived = exim.with_mark(b"Subject: chunked")
            assert (
                arrived.replace(b"\r\n", b"\n")
                .rstrip(b"\n")
                .endswith(TEXT.partition(b"\r\n\r\n")[2].replace(b"\r\n", b"\n"))
            )
            assert " K " in (exim.root / "mainlog").read_text(), "by BDAT"
            (report,) = eventually(lambda: inbox(demo.port(143), ALICE))
            status = message_from_bytes(report).get_payload(1)
            assert isinstance(status, Message)
            block = status.get_payload(1)
            assert isinstance(block, Message) and block["Status"] == "5.6.1"
            assert not [each for each in exim.messages() if b"NUL" in each]
