"""A rehearsed session says what a real one says, shows why, and leaves nothing behind."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable
from gateway.core.quota import Allowance, Quota, Usage
from gateway.core.route import LocalMailbox, Route
from gateway.edge.smtp.rehearsal import LIMIT_S, Rehearsal
from gateway.edge.smtp.rehearsal_request import (
    MAX_CONTENT,
    MAX_RECIPIENTS,
    RehearsalRefused,
    Request,
)
from gateway.policy.engine import Policy
from gateway.policy.facts import Facts
from gateway.policy.quota import QuotaPolicy
from gateway.policy.verdicts import Action, Stage, Verdict
from tests.support.smtp_fakes import ALICE, Client, FakeRouter, SmtpBench, codes

IP = "192.0.2.9"
OWN = b"From: alice@example.test\r\nSubject: x\r\n\r\n.hello\r\n"
CONTENT = b"From: a@far.test\r\nSubject: x\r\n\r\n.hello\r\n"


class Explaining(FakeRouter):
    """Tells one step."""

    async def route(
        self, recipient: Address, *, may_relay: bool, steps: Any | None = None
    ) -> Route:
        if steps is not None:
            steps.add(f"looked at {recipient}")
        return await super().route(recipient, may_relay=may_relay)


class Learning:
    """A check that counts whom it was asked about, unless it is rehearsed."""

    name = "learning"
    defers_on_trouble = False
    stages = frozenset((Stage.CONNECT, Stage.SENDER, Stage.RECIPIENT, Stage.CONTENT))

    def __init__(self, *verdicts: Verdict, later: bool = False) -> None:
        self.verdicts = {verdict.check: verdict for verdict in verdicts}
        self.later = later
        self.counted: list[str] = []
        self.gone: list[str] = []

    def judge(self, stage: Stage, facts: Facts) -> Any:
        if not facts.client.rehearsal:
            self.counted.append(facts.client.peer_ip)
        verdict = self.verdicts.get(stage.value)
        if not self.later:
            return verdict
        answer: Deferred[Any] = Deferred()
        answer.callback(verdict)
        return answer

    def left(self, client: Any) -> None:
        self.gone.append(client.peer_ip)


def verdict(stage: Stage, action: Action, **more: Any) -> Verdict:
    return Verdict(action, stage.value, f"because of {action.value}", {"looked at": "this"}, **more)


def bench(*verdicts: Verdict, protocol: str = "smtp", **more: Any) -> tuple[SmtpBench, Learning]:
    check = Learning(*verdicts, later=more.pop("later", False))
    policy = Policy("p", (check,))
    return SmtpBench(protocol, router=Explaining(), policy=policy, **more), check


def rehearse(made: SmtpBench, request: Request, objection: str = "") -> dict[str, Any]:
    sessions: Any = SimpleNamespace(new_id=made.sessions.new_id, objection=lambda ip: objection)
    rehearsal = Rehearsal(made.factory._shared.door, made.factory.services, sessions, request)
    return outcome(made, rehearsal)


def outcome(made: SmtpBench, rehearsal: Rehearsal) -> dict[str, Any]:
    found: list[Any] = []
    Deferred.fromCoroutine(rehearsal.run()).addBoth(found.append)
    made.clock.advance(0)
    if not found:
        made.clock.advance(LIMIT_S)
    if isinstance(found[0], Failure):
        found[0].raiseException()
    json.dumps(found[0])
    return cast(dict[str, Any], found[0])


def replies(answer: dict[str, Any]) -> bytes:
    return b"".join(line.encode() + b"\r\n" for step in answer["steps"] for line in step["reply"])


def really(made: SmtpBench, request: Request) -> bytes:
    """The same envelope through a real session; ids are left out of both."""
    client = Client(made, request.ip)
    heard = client.read()
    if not heard.startswith(b"220"):
        return heard
    verb = b"LHLO" if made.factory._shared.door.protocol == "lmtp" else b"EHLO"
    heard += client.say(verb + b" " + request.hello.encode())
    if request.tls:
        heard += client.say(b"STARTTLS")
        client.connection.handshakeCompleted()
        heard += client.say(verb + b" " + request.hello.encode())
    if request.login:
        client.connection.sasl.vouch(ALICE)
        client.connection.login = ALICE.login
        client.connection.client.account = ALICE
        heard += b"235 2.7.0 Authentication successful\r\n"
    size = f" SIZE={request.size_octets}" if request.size_octets else ""
    said = client.say(f"MAIL FROM:<{request.sender}>{size}".encode())
    heard += said
    if not said.startswith(b"250"):
        return heard
    accepted = 0
    for recipient in request.recipients:
        said = client.say(f"RCPT TO:<{recipient}>".encode())
        accepted += said.startswith(b"250")
        heard += said
    if accepted:
        said = client.say(b"DATA")
        heard += said
        if said.startswith(b"354"):
            stuffed = (request.content or b"").replace(b"\r\n.", b"\r\n..")
            heard += client.send(stuffed + b".\r\n")
    return heard


def without_ids(heard: bytes) -> list[bytes]:
    lines = []
    for line in heard.split(b"\r\n"):
        line = line.partition(b" [rehearsal-")[0]
        lines.append(line.partition(b"Accepted as")[0])
    return lines


def asked(*recipients: str, **more: Any) -> Request:
    told = {"sender": "a@far.test", "ip": IP, "hello": "client.test", "content": CONTENT, **more}
    return Request(recipients=recipients or ("alice@example.test",), **told)


CONNECT_REFUSED = verdict(Stage.CONNECT, Action.REJECT, text="Go away")
SENDER_DEFERRED = verdict(Stage.SENDER, Action.DEFER)
RECIPIENT_REFUSED = verdict(Stage.RECIPIENT, Action.REJECT)
CONTENT_REFUSED = verdict(Stage.CONTENT, Action.REJECT)
HELD = verdict(Stage.CONTENT, Action.QUARANTINE, tag="spam")
PASSED = verdict(Stage.RECIPIENT, Action.PASS)

AS_ALICE = {"tls": True, "login": "alice"}
CASES: list[tuple[str, tuple[Verdict, ...], Request, dict[str, Any]]] = [
    ("accepted", (), asked(), {}),
    ("accepted", (), asked("alice@example.test", "nobody@example.test"), {}),
    ("accepted", (), asked("alice@example.test", sender=""), {}),
    ("accepted", (PASSED,), asked(tls=True), {}),
    ("accepted", (), asked(content=b"Subject: large\r\n\r\n" + b"x" * 300_000 + b"\r\n"), {}),
    ("accepted", (), asked(), {"protocol": "lmtp"}),
    ("accepted", (), asked("z@far.test", sender="alice@example.test", content=OWN, **AS_ALICE),
     {"protocol": "submission"}),
    ("held", (HELD,), asked(), {}),
    ("refused", (CONNECT_REFUSED,), asked(), {}),
    ("deferred", (SENDER_DEFERRED,), asked(), {}),
    ("refused", (RECIPIENT_REFUSED,), asked(), {}),
    ("refused", (CONTENT_REFUSED,), asked(), {}),
    ("refused", (), asked("z@far.test"), {}),
    ("refused", (), asked("nobody@example.test"), {}),
    ("refused", (), asked("not an address"), {}),
    ("refused", (), asked(size_octets=10**12), {}),
    ("refused", (), asked(), {"protocol": "submission"}),
    ("refused", (), asked(sender="bob@example.test", tls=True, login="alice"),
     {"protocol": "submission"}),
    ("refused", (), asked(content=b"Subject: x\r\n\r\nbare\nnewline\r\n"), {}),
    ("refused", (), asked(tls=True), {"tls": False}),
]  # fmt: skip


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize(("expected", "verdicts", "request_", "door"), CASES)
def test_it_says_what_a_real_session_says_and_changes_nothing(
    expected: str, verdicts: tuple[Verdict, ...], request_: Request, door: dict[str, Any],
    later: bool,
) -> None:  # fmt: skip
    made, check = bench(*verdicts, later=later, **door)
    answer = rehearse(made, request_)
    assert answer["outcome"] == expected
    assert not (made.intake.accepted or made.intake.bodies)
    assert not (made.trace.records or check.counted or check.gone)
    if request_.tls and door.get("tls") is False:
        return  # a real client would go on without TLS
    assert without_ids(replies(answer)) == without_ids(really(made, request_))
    assert check.counted, "the real one counts"


def test_each_check_and_each_step_of_the_routing_is_shown_where_it_was_asked() -> None:
    made, _ = bench(PASSED)
    answer = rehearse(made, asked("alice@example.test", "nobody@example.test"))
    by_command = {step["said"]: step for step in answer["steps"]}
    first = by_command["RCPT TO:<alice@example.test>"]
    assert first["routing"] == ["looked at alice@example.test"]
    assert first["checks"] == [
        {
            "check": "learning", "stage": "recipient", "action": "pass",
            "reason": "because of pass", "inputs": {"looked at": "this"},
        }
    ]  # fmt: skip
    second = by_command["RCPT TO:<nobody@example.test>"]
    assert second["routing"] == ["looked at nobody@example.test"]
    assert second["checks"] == [], "it was refused before any check was asked"
    nothing = by_command["MAIL FROM:<a@far.test>"]["checks"]
    assert [each["reason"] for each in nothing] == ["nothing to say"]


def test_as_whom_somebody_may_send_is_shown_with_how_that_was_found() -> None:
    made, _ = bench(protocol="submission")
    answer = rehearse(made, asked(sender="bob@example.test", **AS_ALICE))
    assert answer["steps"][-1]["routing"] == [
        "looked at bob@example.test",
        "alice may not send as bob@example.test",
    ]
    answer = rehearse(made, asked(sender="alice@example.test", content=OWN, **AS_ALICE))
    own = "alice may send as alice@example.test, their own address"
    by_stage = {step["stage"]: step for step in answer["steps"]}
    assert by_stage["sender"]["routing"] == [own]
    assert by_stage["content"]["routing"] == [own], "the From field"


def test_what_would_be_stored_is_told() -> None:
    made, _ = bench(HELD)
    stored = rehearse(made, asked())["stored"]
    assert stored["mailboxes"] == []
    assert stored["queued"] == [{"recipient": "alice@example.test", "next_hop": "the mailbox here"}]
    assert stored["held"] == {"reason": "quarantine: because of quarantine", "until": None}
    made, _ = bench()
    stored = rehearse(made, asked())["stored"]
    assert stored["mailboxes"] == [{"account_id": ALICE.account_id, "login": "alice"}]
    assert stored["held"] is None
    assert "Received: from client.test ([192.0.2.9])" in stored["header"]


def test_a_full_mailbox_is_seen_and_its_bounds_are_not_touched() -> None:
    class Full:
        told: list[object] = []

        async def set_quota(self, *what: object) -> None:
            self.told.append(what)

        async def usage(self, _: object) -> Usage:
            return Usage(500, 1, Quota())

        def watch_filling(self, _: object) -> Any: ...

    bounded = Allowance(octets=100)
    person = replace(ALICE, allowance=bounded)
    made, _ = bench(quota=QuotaPolicy(cast(Any, Full())))
    router = cast(Explaining, made.factory.services.router)
    original = router.route

    async def route(recipient: Address, **more: Any) -> Route:
        await original(recipient, **more)
        return LocalMailbox(person)

    router.route = route  # type: ignore[method-assign]
    answer = rehearse(made, asked())
    assert answer["outcome"] == "deferred"
    assert answer["steps"][-1]["reply"][0].startswith("452 4.2.2 ")
    assert Full.told == []


@pytest.mark.parametrize(
    ("login", "trouble"), [("carol", "nobody has this login"), ("down", "directory")]
)
def test_a_login_that_cannot_be_taken_says_why(login: str, trouble: str) -> None:
    made, _ = bench(protocol="submission")

    async def find(name: str) -> None:
        if name == "down":
            raise DirectoryUnavailable

    services = made.factory.services
    object.__setattr__(services, "find_person", find)
    answer = rehearse(made, asked(tls=True, login=login))
    assert trouble in answer["steps"][-1]["trouble"]
    assert answer["outcome"] == "not sent"


def test_a_login_without_tls_is_refused_as_for_everybody() -> None:
    made, _ = bench(protocol="submission")
    answer = rehearse(made, asked(login="alice"))
    assert answer["steps"][-1]["reply"][0].startswith("538 5.7.11 ")


def test_one_connection_too_many_is_seen() -> None:
    made, _ = bench()
    answer = rehearse(made, asked(), objection="too many connections")
    assert answer["steps"][0]["reply"][0].startswith("421 4.7.0 too many connections")
    assert answer["outcome"] == "deferred"


def test_what_never_answers_ends_in_time() -> None:
    made, _ = bench()
    router = cast(Explaining, made.factory.services.router)
    router.hold()
    answer = rehearse(made, asked())
    assert "nothing in" in answer["steps"][-1]["trouble"]
    assert not made.clock.getDelayedCalls()


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"sender": "a@b"},
        {"sender": "a@b", "recipients": []},
        {"sender": "a@b", "recipients": ["c@d"] * (MAX_RECIPIENTS + 1)},
        {"sender": 5, "recipients": ["c@d"]},
        {"sender": "a@b", "recipients": ["c@d\r\nDATA"]},
        {"sender": "a@b\n", "recipients": ["c@d"]},
        {"sender": "a@b", "recipients": ["c@d"], "hello": "x\r\nQUIT"},
        {"sender": "a@b", "recipients": ["c@d"], "ip": "nowhere"},
        {"sender": "a@b", "recipients": ["c@d"], "size_octets": True},
        {"sender": "a@b", "recipients": ["c@d"], "tls": 1},
        {"sender": "a@b", "recipients": ["c@d"], "content": "!"},
        {"sender": "a@b", "recipients": ["c@d"], "content": "QUFB" * (MAX_CONTENT // 3 + 1)},
        {"sender": "a@b", "recipients": ["c@d"], "unknown": 1},
    ],
)
def test_a_request_that_is_none_is_refused(body: object) -> None:
    with pytest.raises(RehearsalRefused):
        Request.from_json(body)


def test_a_request_survives_its_form() -> None:
    request = asked("x@y.test", "z@y.test", tls=True, login="alice", size_octets=7, listener="l")
    assert Request.from_json(json.loads(json.dumps(request.to_json()))) == request
    assert codes(b"250 ok\r\n") == [250]
