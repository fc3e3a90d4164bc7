"""Every mechanism at every door: right, wrong, late, cancelled, cut off (SECURITY A1-A6, A9)."""

from __future__ import annotations

from dataclasses import replace

import pytest
from twisted.internet.defer import Deferred

from gateway.auth.mechanisms import NAMES, Means
from gateway.core.errors import DirectoryUnavailable, IssuerUnavailable
from tests.auth.worlds import FULL, FakeSecrets
from tests.edge.login_doors import CHANNEL, DOORS, Client, LoginBench, coded, log_in

every_door = pytest.mark.parametrize("door", DOORS)
every_mechanism = pytest.mark.parametrize("mechanism", NAMES)
NO_TLS_NEEDED = {"PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"}


@pytest.fixture(autouse=True)
def channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transports in memory have no TLS to ask."""
    monkeypatch.setattr("gateway.edge.login.channel_of", lambda transport: CHANNEL)


@every_door
@every_mechanism
def test_a_person_gets_in(door: str, mechanism: str, logged: list[str]) -> None:
    client = LoginBench(door).connect()
    assert log_in(client, mechanism).kind == "in"
    assert client.connection.login == "alice"
    text = "\n".join(logged)
    assert "logged in" in text
    # SECURITY A9
    assert not any(secret in text for secret in ("wonderland", "good-token", "Bearer", "tls-exp"))


def refused(client: Client, mechanism: str) -> bytes:
    """A wrong login, as far as its last answer; nothing comes before its time."""
    answer = log_in(client, mechanism, right=False)
    assert answer.kind == "nothing"
    answer = client.later()
    if answer.kind == "more":  # the token's JSON
        assert b"status" in answer.challenge
        answer = client.line(b"" if mechanism == "XOAUTH2" else b"\x01")
    assert answer.kind == "wrong"
    return answer.octets


@every_door
def test_A6_every_mechanism_refuses_in_the_same_words_and_time(door: str) -> None:
    said = set()
    for mechanism in NAMES:
        octets = refused(LoginBench(door).connect(), mechanism)
        said.add(octets.partition(b" [")[0] if door == "submission" else octets)
    assert len(said) == 1


@every_door
@every_mechanism
def test_A4_the_third_failure_is_the_last(door: str, mechanism: str) -> None:
    client = LoginBench(door).connect()
    for _ in range(2):
        refused(client, mechanism)
        assert not client.closed()
    refused(client, mechanism)
    assert client.closed()


@every_door
@every_mechanism
def test_A2_cancelled_and_begun_again(door: str, mechanism: str) -> None:
    client = LoginBench(door).connect()
    assert client.auth(mechanism).kind == "more"
    assert client.answer(client.say(b"*")).kind == "bad"
    assert log_in(client, mechanism).kind == "in"


@every_door
@every_mechanism
def test_A2_what_is_not_base64(door: str, mechanism: str) -> None:
    client = LoginBench(door).connect()
    assert client.raw_auth(mechanism, b"!!!").kind == "bad"
    assert client.auth(mechanism).kind == "more"
    assert client.answer(client.say(b"\xff\xfe")).kind == "bad"
    assert not client.closed()


@every_door
@every_mechanism
def test_A2_gone_in_the_middle(door: str, mechanism: str) -> None:
    bench = LoginBench(door)
    client = bench.connect()
    client.auth(mechanism)
    client.connection.connectionLost()
    assert not bench.clock.getDelayedCalls()
    assert log_in(bench.connect(), mechanism).kind == "in"


@every_door
@pytest.mark.parametrize("mechanism", ["CRAM-MD5", "SCRAM-SHA-256"])
def test_A2_gone_while_the_directory_is_asked(door: str, mechanism: str) -> None:
    waiting: Deferred[None] = Deferred()

    class Slow(FakeSecrets):
        async def find(self, *args: object) -> object:  # type: ignore[override]
            await waiting
            raise AssertionError("nobody is there any more")

    bench = LoginBench(door, means=replace(FULL, secrets=Slow()))  # type: ignore[arg-type]
    client = bench.connect()
    client.auth(mechanism)
    message = b"alice " + b"0" * 32 if mechanism == "CRAM-MD5" else b"n,,n=alice,r=x"
    assert client.line(message).kind == "nothing"
    client.connection.connectionLost()
    assert waiting.called and not bench.clock.getDelayedCalls()


@every_door
def test_A5_trouble_is_not_a_wrong_password(door: str) -> None:
    bench = LoginBench(door, means=replace(FULL, secrets=FakeSecrets(error=DirectoryUnavailable())))
    bench.issuer.fails = IssuerUnavailable()
    bench.directory.fails = DirectoryUnavailable()
    bench.checker.fails = DirectoryUnavailable()
    client = bench.connect()
    for _ in range(4):  # more often than anybody may be wrong
        assert log_in(client, "OAUTHBEARER").kind == "later"
        assert log_in(client, "XOAUTH2").kind == "later"
        assert log_in(client, "EXTERNAL").kind == "later"
        assert log_in(client, "PLAIN").kind == "later"
        assert client.auth("SCRAM-SHA-256", b"n,,n=alice,r=x").kind == "later"
        client.auth("CRAM-MD5")
        assert client.line(b"alice " + b"0" * 32).kind == "later"
    assert not client.closed()


@every_door
@every_mechanism
def test_octet_by_octet(door: str, mechanism: str) -> None:
    client = LoginBench(door).connect()
    client.drips = True
    assert log_in(client, mechanism).kind == "in"


@every_door
def test_what_is_offered_is_what_can_work(door: str) -> None:
    assert LoginBench(door).connect().offered() == list(NAMES)
    assert LoginBench(door, means=Means()).connect().offered() == ["PLAIN", "LOGIN"]
    few = replace(FULL, allowed=frozenset({"EXTERNAL", "PLAIN"}))
    assert LoginBench(door, means=few).connect().offered() == ["EXTERNAL", "PLAIN"]


@pytest.mark.parametrize("protocol", ["pop3", "imap"])
def test_where_passwords_are_not_wanted_no_other_command_takes_them(protocol: str) -> None:
    tokens = replace(FULL, allowed=frozenset({"OAUTHBEARER"}))
    for means, wanted in ((FULL, True), (tokens, False)):
        client = LoginBench(protocol, means=means).connect()
        if protocol == "imap":
            capabilities = client.say(b"c CAPABILITY")
            assert (b"LOGINDISABLED" not in capabilities) == wanted
            assert client.say(b"a LOGIN alice secret").startswith(b"a OK") == wanted
        else:
            assert (b"\r\nUSER\r\n" in client.say(b"CAPA")) == wanted
            assert client.say(b"USER alice").startswith(b"+OK") == wanted
            assert client.say(b"PASS secret").startswith(b"+OK") == wanted


@every_door
@every_mechanism
def test_what_is_not_offered_is_unknown(door: str, mechanism: str) -> None:
    client = LoginBench(door, means=Means(allowed=frozenset({"X"}))).connect()
    assert client.auth(mechanism).kind == "bad"
    assert client.offered() == []
    if door == "pop3":
        assert b"SASL" not in client.say(b"CAPA"), "RFC 2449 section 6.3: with mechanisms"


@every_door
@every_mechanism
def test_A1_nothing_without_tls(door: str, mechanism: str, logged: list[str]) -> None:
    client = LoginBench(door, tls=False).connect()
    assert client.offered() == []
    assert client.auth(mechanism, b"\0alice\0wonderland").kind == "bad"
    assert "wonderland" not in "\n".join(logged)


@every_door
@every_mechanism
def test_nobody_logs_in_twice(door: str, mechanism: str) -> None:
    client = LoginBench(door).connect()
    assert log_in(client, mechanism).kind == "in"
    assert client.auth(mechanism).kind == "bad"
    assert not client.closed()


@every_mechanism
def test_A2_not_in_a_transaction(mechanism: str) -> None:
    client = LoginBench("submission").connect()
    assert log_in(client, "PLAIN").kind == "in"
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
    assert client.auth(mechanism).octets.startswith(b"503 ")


@every_door
@every_mechanism
def test_A3_a_line_of_12_kilobytes(door: str, mechanism: str) -> None:
    client = LoginBench(door).connect()
    assert client.auth(mechanism).kind == "more"
    longest = client.line(b"\xff" + b"x" * 9_200)
    if mechanism == "LOGIN":
        longest = client.line(b"y")
    if longest.kind == "nothing":
        longest = client.later()
    if longest.kind == "more" and b"status" in longest.challenge:
        longest = client.line(b"")
    assert longest.kind == "wrong"
    assert client.auth(mechanism).kind == "more"
    assert client.answer(client.say(coded(b"x" * 9_300))).kind == "bad"


@every_door
def test_a_refused_token_may_be_answered_with_a_star(door: str) -> None:
    client = LoginBench(door).connect()
    assert log_in(client, "OAUTHBEARER", right=False).kind == "nothing"
    assert client.later().kind == "more"
    assert client.answer(client.say(b"*")).kind == "wrong"


@every_door
def test_A3_a_proof_made_for_another_challenge(door: str) -> None:
    """Nothing that was overheard is good twice."""
    bench = LoginBench(door)
    first = bench.connect()
    first.auth("CRAM-MD5")
    second = bench.connect()
    assert second.auth("CRAM-MD5").challenge != b""
    overheard = "93dba9bd0e3d9c3f2a3b4c5d6e7f8091"
    assert second.line(b"alice " + overheard.encode()).kind == "nothing"
    assert second.later().kind == "wrong"
