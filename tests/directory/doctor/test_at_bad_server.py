"""The doctor at servers that drip, hang, lie or talk nonsense: it ends, with words."""

from __future__ import annotations

import socket
import time

import pytest

from gateway.core.findings import Outcome
from tests.directory.bad_server import (
    BIND_RESPONSE,
    SEARCH,
    SEARCH_DONE,
    BadServer,
    Dialogue,
    Script,
    alice,
    entry,
    result,
)
from tests.directory.doctor.examined import examined, of_slapd
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import Slapd


def drips(dialogue: Dialogue) -> None:
    """An octet now and then, so that no single read takes long (SECURITY F4)."""
    request = dialogue.must_come()
    for octet in result(request.number, SEARCH_DONE, 0, "x" * 100):
        dialogue.send(bytes((octet,)))
        time.sleep(0.05)


def talks_nonsense(dialogue: Dialogue) -> None:
    dialogue.send(b"220 smtp.example.test ESMTP\r\n")
    dialogue.wait_for_end()


def hangs_up(dialogue: Dialogue) -> None:
    dialogue.next()
    dialogue.peer.shutdown(socket.SHUT_RDWR)


def lies(dialogue: Dialogue) -> None:
    """Whatever is searched for, it is somebody with names that steer terminals."""
    while (request := dialogue.next()) is not None:
        if request.kind != SEARCH:
            dialogue.send(result(request.number, BIND_RESPONSE, 0))
        elif b"namingContexts" in request.octets or request.octets.count(b"objectClass") == 1:
            seen = entry(request.number, "", {"vendorName": ["x\x1b[2J"]})
            dialogue.send(seen, result(request.number, SEARCH_DONE, 0))
        else:
            found = [alice(request.number, mail=["a\x1b]0;b@x.test"]) for _ in range(30)]
            dialogue.send(*found, result(request.number, SEARCH_DONE, 0, "\x1b[2J"))


@pytest.mark.parametrize("script", [drips, talks_nonsense, hangs_up])
def test_F4_a_server_of_no_use_is_told_of_in_words(
    pump: ReactorPump, slapd: Slapd, script: Script
) -> None:
    with BadServer(script) as server:
        section = of_slapd(slapd, uri=server.uri, start_tls=False, ca_file="", timeout_s=0.3)
        found = examined(pump, section, "alice")
    assert found.failed and found.failed[0] in ("root dse", "tls")
    assert all(step.found and step.advice for step in found.steps if step.name in found.failed)
    assert not found.learnt.answered and {"entries", "groups"} <= set(found.skipped)


def test_A9_L25_a_lying_server_gives_nobody_and_steers_no_terminal(
    pump: ReactorPump, slapd: Slapd
) -> None:
    with BadServer(lies) as server:
        section = of_slapd(slapd, uri=server.uri, start_tls=False, ca_file="", timeout_s=0.3)
        found = examined(pump, section, "alice")
    assert found.learnt.account is None
    assert Outcome.FAILED in {step.outcome for step in found.steps}
    for step in found.steps:
        for line in (step.found, step.advice, *step.more):
            assert line.isprintable(), step
