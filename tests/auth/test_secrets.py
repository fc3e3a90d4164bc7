"""Secrets from their sources, and what strangers may learn of who exists (SECURITY A6)."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.auth.secrets import Secrets
from gateway.core.app_passwords import Place
from gateway.core.errors import DirectoryUnavailable
from gateway.core.login_secret import LoginSecret, SecretKind, scram_verifier
from gateway.directory.threads import WorkerThreads
from tests.auth.worlds import ALICE, ITERATIONS
from tests.support.pump import Pump

KEY = b"k" * 32
HERE = Place("imap", "192.0.2.1")
VERIFIER = scram_verifier(b"wonderland", b"stored-salt-16-o", ITERATIONS)


class Source:
    def __init__(self, *kinds: SecretKind, **people: LoginSecret | Exception) -> None:
        self.kinds = frozenset(kinds)
        self.people = people
        self.asked: list[str] = []

    def secret_kinds(self) -> frozenset[SecretKind]:
        return self.kinds

    def common_secret_kinds(self) -> frozenset[SecretKind]:
        return self.kinds - {SecretKind.PASSWORD}

    async def secret(self, login: str) -> LoginSecret | None:
        self.asked.append(login)
        secret = self.people.get(login.lower())
        if isinstance(secret, Exception):
            raise secret
        return secret


class Bench:
    def __init__(self, *sources: Source, key: bytes = KEY) -> None:
        self.pump = Pump()
        threads = WorkerThreads(
            "t", threads=1, waiting=9, call_from_thread=self.pump.call_from_thread
        )
        self.secrets = Secrets(
            sources, key=key, iterations=ITERATIONS, salt_octets=12, threads=threads
        )

    def find(self, login: str, kind: SecretKind = SecretKind.SCRAM) -> Any:
        return self.pump.wait(self.secrets.find(login, kind, HERE))


def test_a_stored_verifier_is_shown_as_it_is() -> None:
    alice = LoginSecret(ALICE, verifier=VERIFIER)
    found = Bench(Source(SecretKind.SCRAM, alice=alice)).find("alice")
    assert (found.secret, found.verifier) == (alice, VERIFIER)


def test_a_password_makes_a_verifier() -> None:
    alice = LoginSecret(ALICE, password="p\u00e4ss\u00a0wort".encode())
    bench = Bench(Source(SecretKind.PASSWORD, SecretKind.SCRAM, alice=alice))
    verifier = bench.find("alice").verifier
    # RFC 4013: what the client prepares, a blank for NBSP, is what we derive from.
    prepared = "p\u00e4ss wort".encode()
    assert verifier == scram_verifier(prepared, verifier.salt, ITERATIONS)
    assert bench.find("alice").verifier == verifier
    assert bench.find("alice", SecretKind.PASSWORD).secret == alice


@pytest.mark.parametrize("kinds", [(SecretKind.SCRAM,), tuple(SecretKind)])
def test_A6_unknown_people_get_a_salt_that_stays(kinds: tuple[SecretKind, ...]) -> None:
    first, second = Bench(Source(*kinds)), Bench(Source(*kinds))
    shown = first.find("nobody")
    assert shown.secret is None and shown.verifier.iterations == ITERATIONS
    # After a restart, in another process, in whatever spelling: the same question, one answer.
    for login in ("nobody", "NOBODY", "\uff4eobody"):
        assert second.find(login).verifier.salt == shown.verifier.salt
    assert first.find("somebody").verifier.salt != shown.verifier.salt
    other = Bench(Source(*kinds), key=b"x" * 32).find("nobody")
    assert other.verifier.salt != shown.verifier.salt
    assert len(shown.verifier.salt) == 12, "as long as the administrator says that others are"


def test_A6_salts_of_kept_passwords_look_like_invented_ones() -> None:
    alice = LoginSecret(ALICE, password=b"wonderland")
    known = Bench(Source(*SecretKind, alice=alice)).find("Alice")
    unknown = Bench(Source(*SecretKind)).find("alice")
    assert known.verifier.salt == unknown.verifier.salt


def test_the_first_source_with_a_fitting_secret_is_believed() -> None:
    first = Source(SecretKind.SCRAM, alice=LoginSecret(ALICE, verifier=VERIFIER))
    second = Source(*SecretKind, alice=LoginSecret(ALICE, password=b"wonderland"))
    bench = Bench(first, second)
    assert bench.secrets.kinds() == frozenset(SecretKind)
    assert bench.find("alice").verifier == VERIFIER
    assert bench.find("alice", SecretKind.PASSWORD).secret.password == b"wonderland"


def test_A5_a_source_that_cannot_say_is_not_an_unknown_person() -> None:
    with pytest.raises(DirectoryUnavailable):
        Bench(Source(SecretKind.SCRAM, alice=DirectoryUnavailable())).find("alice")


def test_A3_what_cannot_be_a_login_is_asked_of_nobody() -> None:
    source = Source(SecretKind.SCRAM)
    for login in ("", "x" * 2000):
        assert Bench(source).find(login).secret is None
    assert source.asked == []


def test_what_one_source_has_of_everybody_is_there_for_everybody() -> None:
    bench = Bench(Source(SecretKind.PASSWORD), Source(SecretKind.SCRAM))
    assert bench.secrets.kinds() == frozenset(SecretKind)
    assert bench.secrets.common_kinds() == {SecretKind.SCRAM}
