"""A demo that sends mail out, for system tests of the queue and of delivery."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from gateway.app.demo import prepare
from tests.support.gateway_process import Demo
from tests.support.mail import ALICE, trusting

FRIEND = "friend@elsewhere.example"


@contextmanager
def running(
    demo: Demo, settings: str, arguments: Sequence[str] = (), *, command: Sequence[str] = ()
) -> Iterator[Demo]:
    """The demo with tables of settings added to its configuration.

    Args:
        arguments: start it otherwise than as a demo, which has its own listeners in any case.
        command: goes before it.
    """
    prepare(demo.folder, demo.base)
    demo.config.write_text(f"{demo.config.read_text()}\n{settings}")
    demo.arguments = list(arguments) or demo.arguments
    demo.start(command=command)
    try:
        yield demo
    finally:
        if demo.process is not None and demo.process.poll() is None:
            demo.stop()


def submit(
    demo: Demo,
    *recipients: str,
    message: bytes,
    sender: str = ALICE[0],
    starttls: bool = False,
) -> None:
    """As Alice's mail program does it."""
    with smtplib.SMTP("127.0.0.1", demo.port(587), timeout=60) as client:
        if starttls:
            client.starttls(context=trusting())
        client.login(*ALICE)
        client.sendmail(sender, list(recipients), message, mail_options=["BODY=8BITMIME"])
