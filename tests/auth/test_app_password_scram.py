"""SCRAM with several passwords of one person: one salt, and a proof that any of them may make."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gateway.auth.checkers import ProofChecker
from gateway.auth.credentials import ProofLogin
from gateway.auth.sasl import Challenge, Exchange, ProofOffer, SecretWanted
from gateway.auth.sasl_scram import Scram
from gateway.auth.secrets import Secrets
from gateway.core.account import Account
from gateway.core.app_passwords import Place
from gateway.core.errors import DirectoryUnavailable, WrongCredentials
from gateway.core.login_secret import LoginSecret, SecretKind, scram_verifier
from tests.auth.app_password_world import IMAP, NOW, World
from tests.auth.desk_world import FakeKept
from tests.auth.worlds import ITERATIONS, ScramClient, coded
from tests.support.pop3_fakes import ALICE

KEY = b"k" * 32


class Directory:
    """What a directory keeps of alice; ``kinds`` of anybody."""

    def __init__(self, secret: LoginSecret | None = None, *kinds: SecretKind) -> None:
        self.own = secret
        self.kinds = frozenset(kinds)
        self.away = False

    def secret_kinds(self) -> frozenset[SecretKind]:
        return self.kinds

    def common_secret_kinds(self) -> frozenset[SecretKind]:
        return self.kinds

    async def secret(self, login: str) -> LoginSecret | None:
        if self.away:
            raise DirectoryUnavailable
        return self.own if login == "alice" else None


def secrets_of(world: World, directory: Directory) -> Secrets:
    return Secrets(
        [directory],
        key=KEY,
        iterations=ITERATIONS,
        salt_octets=16,
        threads=world.threads,
        app_passwords=world.apps,
    )


def log_in(
    world: World,
    password: str,
    directory: Directory | None = None,
    *,
    place: Place = IMAP,
    login: str = "alice",
    meanwhile: Callable[[], object] = lambda: None,
) -> tuple[Account, int]:
    """A whole exchange; whose account, and the number of the app password."""
    secrets = secrets_of(world, directory or Directory())
    client = ScramClient(login, password.encode())
    exchange = Exchange(Scram(b"server-nonce", {}, plus=False))
    wanted = exchange.start(coded(client.first))
    assert isinstance(wanted, SecretWanted)
    shown = exchange.told(world.pump.wait(secrets.find(wanted.login, wanted.kind, place)))
    assert isinstance(shown, Challenge)
    step = exchange.respond(coded(client.final(shown.octets)))
    if isinstance(step, Challenge):
        assert step.octets == client.server_signature, "we know it as well"
        step = exchange.respond(b"")
    assert isinstance(step, ProofOffer)
    meanwhile()
    credentials = ProofLogin(
        login=login, account=step.account, proof=step.proof, protocol=place.protocol,
        peer_ip=place.peer_ip, over_tls=True,
    )  # fmt: skip
    account = world.pump.wait_for(ProofChecker(world.apps).requestAvatarId(credentials))
    return account, credentials.trail.app_password


def test_one_exchange_is_good_for_any_of_a_persons() -> None:
    world = World()
    texts = [world.make(label).text for label in ("phone", "tablet", "printer")]
    assert [log_in(world, text) for text in texts] == [(ALICE, 1), (ALICE, 2), (ALICE, 3)]
    assert [number for number, _, _ in world.store.uses] == [1, 2, 3]
    with pytest.raises(WrongCredentials):
        log_in(world, "wonderland")


def test_the_own_password_stays_good_beside_them_where_it_is_kept() -> None:
    clear = Directory(LoginSecret(ALICE, password=b"wonderland"), *SecretKind)
    world = World()
    text = world.make().text
    assert log_in(world, text, clear) == (ALICE, 1)
    assert log_in(world, "wonderland", clear) == (ALICE, 0)
    # A verifier of the directory's: the first app password takes its salt.
    verifier = scram_verifier(b"wonderland", b"0123456789ab", ITERATIONS)
    stored = Directory(LoginSecret(ALICE, verifier=verifier), SecretKind.SCRAM)
    world = World()
    world.directory.own = stored.own
    text = world.make().text
    assert log_in(world, text, stored) == (ALICE, 1)
    assert log_in(world, "wonderland", stored) == (ALICE, 0)
    # Once that has another salt, app passwords stand before it.
    other = scram_verifier(b"looking-glass", b"another-salt", ITERATIONS)
    stored.own = LoginSecret(ALICE, verifier=other)
    assert log_in(world, text, stored) == (ALICE, 1)
    with pytest.raises(WrongCredentials):
        log_in(world, "looking-glass", stored)


def test_only_app_passwords_where_only_they_are_taken() -> None:
    clear = Directory(LoginSecret(ALICE, password=b"wonderland"), *SecretKind)
    world = World(only=True, exempt=("10.0.0.0/8",))
    webmail = Place("imap", "10.0.0.1")
    for _ in range(2):  # before there is any, and with one
        with pytest.raises(WrongCredentials):
            log_in(world, "wonderland", clear)
        assert log_in(world, "wonderland", clear, place=webmail) == (ALICE, 0)
        text = world.make().text
    assert log_in(world, text, clear) == (ALICE, 2)
    find = secrets_of(world, clear).find
    assert world.pump.wait(find("alice", SecretKind.PASSWORD, IMAP)).secret is None, "CRAM-MD5"
    assert world.pump.wait(find("alice", SecretKind.PASSWORD, webmail)).secret is clear.own


@pytest.mark.parametrize(
    ("wanted", "alice"),
    [
        ({"protocols": ("submission",)}, ALICE),
        ({"networks": ("office",)}, ALICE),
        ({"days": 1}, ALICE),
        ({}, replace(ALICE, enabled=False)),
        ({}, replace(ALICE, locked=True)),
    ],
)
def test_A6_L16_the_wrong_place_is_as_wrong_as_anything(
    wanted: dict[str, Any], alice: Account
) -> None:
    """Our signature, which tells that a password is right, is not sent either (``log_in`` would go
    on with it and hear of ``enabled`` only from the checker)."""
    refusals = FakeKept(lambda: NOW)
    world = World(refusals=refusals)
    text = world.make(**wanted).text
    world.store.now += 2 * 86_400
    world.directory.alice = alice
    secrets = secrets_of(world, Directory())
    client = ScramClient("alice", text.encode())
    exchange = Exchange(Scram(b"server-nonce", {}, plus=False))
    exchange.start(coded(client.first))
    found = world.pump.wait(secrets.find("alice", SecretKind.SCRAM, IMAP))
    shown = exchange.told(found)
    assert isinstance(shown, Challenge)
    offer = exchange.respond(coded(client.final(shown.octets)))
    assert isinstance(offer, ProofOffer), "not a signature"
    assert not offer.proof.holds() and offer.proof.barred()
    with pytest.raises(WrongCredentials) as refused:
        log_in(world, text)
    assert refused.value.safe_text == WrongCredentials.default_text
    ((whose, refusal),) = refusals.noted
    assert whose == ALICE.account_id, "administrators are told"
    assert refusal.reason.words == offer.proof.barred()
    assert not world.store.uses


def test_what_is_revoked_in_the_middle_of_an_exchange_opens_nothing() -> None:
    world = World()
    text = world.make().text

    def revoke() -> None:
        world.store.rows.clear()

    with pytest.raises(WrongCredentials):
        log_in(world, text, meanwhile=revoke)


def test_the_first_answer_of_strangers_stays_what_it_was() -> None:
    """Whether somebody has app passwords shows in nothing but their salt, as with verifiers."""
    world = World()
    secrets = secrets_of(world, Directory())
    before = world.pump.wait(secrets.find("nobody", SecretKind.SCRAM, IMAP)).verifier
    known = world.make().kept.verifier
    shown = world.pump.wait(secrets.find("alice", SecretKind.SCRAM, IMAP)).verifier
    again = world.pump.wait(secrets.find("nobody", SecretKind.SCRAM, IMAP)).verifier
    assert shown is not None and again is not None and before == again
    assert (shown.salt, shown.iterations) == (known.salt, known.iterations)
    assert len(shown.salt) == len(again.salt) and shown.iterations == again.iterations
    reads = world.store.reads
    world.pump.wait(secrets.find("nobody", SecretKind.SCRAM, IMAP))
    assert world.store.reads == reads + 1, "the store is asked about strangers too"


def test_app_passwords_work_where_the_directorys_own_cannot_be_told() -> None:
    directory = Directory(None, SecretKind.SCRAM)
    world = World()
    text = world.make().text
    directory.away = True
    assert log_in(world, text, directory) == (ALICE, 1)
    world.store.rows.clear()
    with pytest.raises(DirectoryUnavailable):
        log_in(world, text, directory)


def test_what_can_be_told_of_everybody() -> None:
    """CRAM-MD5 needs the password itself, and of app passwords there is only a hash."""
    both = Directory(None, *SecretKind)
    assert secrets_of(World(), both).common_kinds() == {SecretKind.SCRAM}
    assert secrets_of(World(), both).kinds() == set(SecretKind)
    assert secrets_of(World(), Directory()).kinds() == {SecretKind.SCRAM}
    assert secrets_of(World(), Directory()).common_kinds() == set()
    assert secrets_of(World(enabled=False), both).common_kinds() == set(SecretKind)
    assert secrets_of(World(enabled=False), Directory()).kinds() == set()
