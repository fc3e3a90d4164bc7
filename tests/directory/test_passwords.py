"""Stored passwords, and that a failure costs the same for everybody."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

import pytest
from argon2.low_level import Type, hash_secret

from gateway.directory.passwords import (
    BadPasswordValue,
    Clear,
    StoredPassword,
    Verifier,
    stored_password,
)


def argon2(kind: Type) -> bytes:
    return b"{ARGON2}" + hash_secret(b"wonderland", b"saltsalt", 1, 64, 1, 32, kind)


def coded(scheme: str, octets: bytes) -> bytes:
    return f"{{{scheme}}}".encode() + base64.b64encode(octets)


@pytest.mark.parametrize(
    "value",
    [
        b"wonderland",
        b"{CLEARTEXT}wonderland",
        coded("SHA", hashlib.sha1(b"wonderland").digest()),
        coded("ssha", hashlib.sha1(b"wonderlandSALT").digest() + b"SALT"),
        coded("SHA256", hashlib.sha256(b"wonderland").digest()),
        coded("SSHA256", hashlib.sha256(b"wonderland1").digest() + b"1"),
        coded("SSHA512", hashlib.sha512(b"wonderlandSALTSALT").digest() + b"SALTSALT"),
        argon2(Type.ID),
        argon2(Type.I),
        argon2(Type.D),
    ],
    ids=lambda value: value[:10].decode(),
)
def test_knows_the_schemes_of_openldap(value: bytes) -> None:
    stored = stored_password(value)
    assert stored.verify(b"wonderland")
    for wrong in (b"Wonderland", b"wonderland ", b"wonderlan", b"wonderland\0", value):
        assert stored.verify(wrong) is (wrong == b"wonderland")
    assert b"wonderland".decode() not in repr(stored)
    assert value.partition(b"}")[2].decode() not in repr(stored) or b"}" not in value


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{NEW}abc",
        b"{CRYPT}$6$x",
        b"{SSHA}",
        b"{SSHA}not base64",
        coded("SSHA", b"x" * 20),
        coded("SHA", b"x" * 24),
        coded("SSHA", b"x" * 8),
        b"{ARGON2}",
        b"{ARGON2}$argon2id$v=19$m=99999999,t=3,p=1$c2FsdHNhbHQ$" + b"A" * 43,
        b"{ARGON2}$argon2id$v=19$m=9999999,t=3,p=1$c2FsdHNhbHQ$" + b"A" * 43,
        b"{ARGON2}$argon2id$v=19$m=64,t=0,p=1$c2FsdHNhbHQ$" + b"A" * 43,
    ],
)
def test_values_nobody_could_log_in_with_are_refused(value: bytes) -> None:
    with pytest.raises(BadPasswordValue):
        stored_password(value)


@dataclass
class Counting:
    """A stored password that counts how often it is asked."""

    cost: int
    right: bytes = b"right"
    asked: list[bytes] = field(default_factory=list)

    def verify(self, password: bytes) -> bool:
        self.asked.append(password)
        return password == self.right


def test_A6_every_failure_costs_one_of_the_dearest() -> None:
    cheap, dear = Counting(1), Counting(1_000)
    verifier = Verifier([cheap, dear, Clear(b"x")])
    people: list[tuple[StoredPassword, ...]] = [(), (cheap,), (dear,), (cheap, dear)]
    for stored in people:
        dear.asked.clear()
        assert not verifier.verify(stored, b"wrong")
        assert len(dear.asked) == 1


def test_the_dearest_of_others_opens_nothing() -> None:
    cheap, dear = Counting(1, b"cheap"), Counting(1_000, b"dear")
    verifier = Verifier([cheap, dear])
    assert not verifier.verify((cheap,), b"dear")
    assert not verifier.verify((), b"dear")
    assert verifier.verify((cheap,), b"cheap")
    assert verifier.verify((dear, cheap), b"cheap")


def test_without_any_password_nobody_logs_in() -> None:
    assert not Verifier([]).verify((), b"")
