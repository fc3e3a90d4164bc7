"""Who hears why a login was refused: the log always, a client hardly ever (A5, A6, L15)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.core.errors import DirectoryMistake, NotAsKept, WrongCredentials
from gateway.core.login_reasons import LoginReason
from tests.auth.worlds import FULL
from tests.edge.login_doors import DOORS, Client, LoginBench

every_door = pytest.mark.parametrize("door", DOORS)
TELLING = replace(FULL, tell_reasons=True)
PLAIN = b"\0alice\0secret"

# What each door says: of any refusal, of an expired password, of an account that cannot be used.
WORDS = {
    "imap": (
        b"a NO [AUTHENTICATIONFAILED] Authentication failed\r\n",
        b"a NO [EXPIRED] Your password has expired, set a new one\r\n",
        b"a NO [CONTACTADMIN] Your account cannot be used, ask your administrator\r\n",
    ),
    "pop3": (
        b"-ERR [AUTH] authentication failed\r\n",
        b"-ERR [AUTH] your password has expired, set a new one\r\n",
        b"-ERR [AUTH] your account cannot be used, ask your administrator\r\n",
    ),
    "submission": (
        b"535 5.7.8 Authentication failed",
        b"535 5.7.8 Your password has expired, set a new one",
        b"525 5.7.13 Your account cannot be used, ask your administrator",
    ),
}


@pytest.fixture(autouse=True)
def channel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transports in memory have no TLS to ask."""
    monkeypatch.setattr("gateway.edge.login.channel_of", lambda transport: None)


def refused(door: str, error: Exception, *, telling: bool) -> tuple[bytes, Client]:
    """What a client hears after the usual time, and not before."""
    bench = LoginBench(door, means=TELLING if telling else FULL)
    bench.checker.fails = error
    client = bench.connect()
    assert client.auth("PLAIN", PLAIN).kind == "nothing"
    return client.later().octets, client


@every_door
@pytest.mark.parametrize("reason", list(LoginReason))
@pytest.mark.parametrize("proven", [True, False])
def test_A6_by_default_every_reason_is_told_in_the_same_words(
    door: str, reason: LoginReason, proven: bool, logged: list[str]
) -> None:
    said, _ = refused(door, WrongCredentials(reason, proven=proven), telling=False)
    assert said.startswith(WORDS[door][0])
    assert any(reason.words in line for line in logged), "the log has it"


@every_door
@pytest.mark.parametrize(
    ("reason", "which"),
    [
        (LoginReason.PASSWORD_EXPIRED, 1),
        (LoginReason.MUST_CHANGE, 1),
        (LoginReason.DISABLED, 2),
        (LoginReason.ACCOUNT_EXPIRED, 2),
        (LoginReason.NOT_NOW, 2),
        (LoginReason.NOT_FROM_HERE, 2),
    ],
)
def test_L15_whoever_has_the_right_password_hears_why_where_it_is_wanted(
    door: str, reason: LoginReason, which: int
) -> None:
    said, _ = refused(door, WrongCredentials(reason, proven=True), telling=True)
    assert said.startswith(WORDS[door][which])


@every_door
@pytest.mark.parametrize("reason", list(LoginReason))
def test_A6_nobody_else_ever_does(door: str, reason: LoginReason) -> None:
    said, _ = refused(door, WrongCredentials(reason), telling=True)
    assert said.startswith(WORDS[door][0])


@every_door
def test_A4_refusals_with_a_reason_count_like_others(door: str) -> None:
    bench = LoginBench(door, means=TELLING)
    bench.checker.fails = WrongCredentials(LoginReason.DISABLED, proven=True)
    client = bench.connect()
    for _ in range(3):
        assert not client.closed()
        assert client.auth("PLAIN", PLAIN).kind == "nothing"
        assert client.later().octets
    assert client.closed()


@every_door
def test_A5_a_guess_in_an_outage_is_no_wrong_password_and_told_as_late(door: str) -> None:
    bench = LoginBench(door)
    bench.checker.fails = NotAsKept()
    client = bench.connect()
    assert client.auth("PLAIN", PLAIN).kind == "nothing"
    assert client.later().kind == "later"
    assert not client.closed()


@every_door
def test_A5_a_mistake_in_the_directory_is_trouble_like_any_other(door: str) -> None:
    bench = LoginBench(door)
    bench.checker.fails = DirectoryMistake()
    assert bench.connect().auth("PLAIN", PLAIN).kind == "later"
