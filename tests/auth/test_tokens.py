"""Signed tokens: what is taken, and the tricks that have worked elsewhere."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.auth.jwks import ALGORITHMS, BadKeySet, key_set
from gateway.auth.jwt_issuer import JwtIssuer
from gateway.auth.tokens import TokenRules
from gateway.core.errors import SettingsError, WrongCredentials
from gateway.directory.threads import WorkerThreads
from tests.support.pump import Pump

NOW = 1_700_000_000.0
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
CLAIMS = {
    "iss": "https://issuer.test",
    "aud": "mail",
    "exp": NOW + 300,
    "email": "alice@example.test",
}
RULES = TokenRules(
    "https://issuer.test", frozenset({"mail"}), ("email", "preferred_username", "sub"), 30.0
)


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    maker: Any = {"RSA": RSAAlgorithm, "EC": ECAlgorithm}.get(
        type(key).__name__[:3].rstrip("P"), OKPAlgorithm
    )
    if isinstance(key, ec.EllipticCurvePrivateKey):
        maker = ECAlgorithm
    made: dict[str, Any] = maker.to_jwk(key.public_key(), as_dict=True)
    made.pop("key_ops", None)
    return {**made, "kid": kid, **more}


KEYS = {"keys": [jwk(RSA, "r"), jwk(EC, "e"), jwk(ED, "d")]}


class Bench:
    def __init__(
        self,
        folder: Path,
        rules: TokenRules = RULES,
        algorithms: tuple[str, ...] = ALGORITHMS,
        keys: object = KEYS,
    ) -> None:
        self.path = folder / "jwks.json"
        self.path.write_text(json.dumps(keys))
        self.pump = Pump()
        self.now, self.elapsed = NOW, 0.0
        self.issuer = JwtIssuer(
            self.path,
            rules,
            algorithms=frozenset(algorithms),
            threads=WorkerThreads(
                "t", threads=1, waiting=9, call_from_thread=self.pump.call_from_thread
            ),
            wall_clock=lambda: self.now,
            monotonic=lambda: self.elapsed,
        )

    def whose(self, token: str) -> str:
        return self.pump.wait(self.issuer.whose(token))

    def refused(self, token: str) -> None:
        with pytest.raises(WrongCredentials) as error:
            self.whose(token)
        assert error.value.safe_text == "authentication failed"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def token(
    claims: Mapping[str, Any] = CLAIMS,
    key: Any = RSA,
    algorithm: str = "RS256",
    kid: str | None = "r",
    **headers: Any,
) -> str:
    named = {} if kid is None else {"kid": kid}
    # Not jwt.encode, which would not write claims that are wrong.
    payload = json.dumps(dict(claims)).encode()
    return jwt.PyJWS().encode(payload, key, algorithm, headers={**named, **headers})


def but(**changes: Any) -> dict[str, Any]:
    return {name: value for name, value in {**CLAIMS, **changes}.items() if value is not None}


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA, "RS256", "r"), (EC, "ES256", "e"), (ED, "EdDSA", "d")]
)
def test_each_algorithm(bench: Bench, key: Any, algorithm: str, kid: str) -> None:
    for name in (kid, None):
        assert bench.whose(token(key=key, algorithm=algorithm, kid=name)) == "alice@example.test"


@pytest.mark.parametrize(
    "claims",
    [
        but(exp=NOW - 31),
        but(exp=None),
        but(exp="soon"),
        but(exp=True),
        but(exp=1e300),
        but(nbf=NOW + 31),
        but(iat=NOW + 31),
        but(iss="https://issuer.test/"),
        but(iss=None),
        but(iss=["https://issuer.test"]),
        but(aud="other"),
        but(aud=None),
        but(aud=["x", "y"]),
        but(aud={"mail": 1}),
        but(email=None),
        but(email=""),
        but(email=["alice@example.test"]),
        but(email="x" * 257),
        but(email_verified="False"),
        but(cnf={"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}),
    ],
)
def test_claims_that_are_not_for_us(bench: Bench, claims: Mapping[str, Any]) -> None:
    bench.refused(token(claims))


@pytest.mark.parametrize(
    ("claims", "person"),
    [
        (but(exp=NOW - 29), "alice@example.test"),
        (but(nbf=NOW + 29), "alice@example.test"),
        (but(aud=["x", "mail"]), "alice@example.test"),
        (but(email=None, sub="alice"), "alice"),
        (but(email=None, sub="s", preferred_username="al"), "al"),
        # An address that nobody has verified is what its owner typed (anybody's).
        (but(email_verified=False, sub="alice"), "alice"),
        (but(email_verified=True, sub="x"), "alice@example.test"),
    ],
)
def test_claims_that_are(bench: Bench, claims: Mapping[str, Any], person: str) -> None:
    assert bench.whose(token(claims)) == person


def test_a_token_is_good_until_it_ends_however_often_it_comes(bench: Bench) -> None:
    replayed = token()
    for _ in range(3):
        assert bench.whose(replayed)
    bench.now = NOW + 331
    bench.refused(replayed)


def test_algorithm_confusion(bench: Bench, tmp_path: Path) -> None:
    public = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    bench.refused(unsigned({"alg": "none", "kid": "r"}))
    bench.refused(unsigned({"alg": "None"}))
    bench.refused(hmac_signed(public, "r"))
    bench.refused(hmac_signed(b"secret", None))
    bench.refused(token(key=RSA, algorithm="RS512"))
    bench.refused(token(key=RSA, algorithm="PS256"))
    bench.refused(token(key=RSA, kid="e"))  # an RSA signature under the name of an EC key
    # What the administrator did not list, although there is a key for it.
    only = Bench(tmp_path, algorithms=("ES256",))
    only.refused(token())
    assert only.whose(token(key=EC, algorithm="ES256", kid="e"))


def hmac_signed(secret: bytes, kid: str | None) -> str:
    """As jwt.encode would not do with a public key."""
    head = coded({"alg": "HS256", "typ": "JWT", **({"kid": kid} if kid else {})})
    body = f"{head}.{coded(CLAIMS)}"
    signature = hmac.digest(secret, body.encode(), "sha256")
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def coded(part: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def unsigned(header: Mapping[str, Any]) -> str:
    return f"{coded(header)}.{coded(CLAIMS)}."


def test_headers_of_any_shape(bench: Bench) -> None:
    for wrong in (["RS256"], {"RS256": 1}, None, 7, True):
        bench.refused(unsigned({"alg": wrong, "kid": "r"}))
        bench.refused(unsigned({"alg": "RS256", "kid": "r", "typ": wrong}))


def test_what_the_issuer_signs_for_other_ends_is_no_token(bench: Bench) -> None:
    for kind in ("JWT", "jwt", "at+jwt", "application/at+jwt"):
        assert bench.whose(token(typ=kind))
    for kind in ("logout+jwt", "dpop+jwt", "secevent+jwt", "application/JOSE"):
        bench.refused(token(typ=kind))


def test_keys_that_a_token_brings_along_mean_nothing(bench: Bench) -> None:
    evil = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    own = jwk(evil, "r")
    bench.refused(token(key=evil))
    bench.refused(token(key=evil, jwk=own, jku="https://evil.test/jwks", x5u="https://evil.test"))
    for kid in ("../../dev/null", "' OR 1=1", "/etc/passwd", "http://evil.test", "x" * 5000, ""):
        bench.refused(token(key=evil, kid=kid))
        bench.refused(token(kid=kid))  # rightly signed, by no key of that name
    bench.refused(token(crit=["exp"]))  # RFC 7515 section 4.1.11: must be understood


@pytest.mark.parametrize(
    "text",
    ["", ".", "..", "a.b.c", "a.b", "\xe4", "." * 9_000, "e30.e30.e30", "A" * 9_000, "[]"],
)
def test_what_is_no_token(bench: Bench, text: str) -> None:
    bench.refused(text)


def test_a_deep_token_does_not_break_the_parser(bench: Bench) -> None:
    deep = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 6_000).decode().rstrip("=")
    bench.refused(f"{deep}.e30.e30")


def test_a_huge_token(bench: Bench) -> None:
    assert bench.whose(token(but(groups=["g" * 50] * 100))) == "alice@example.test"


def test_a_changed_file_counts_and_a_broken_one_does_not(bench: Bench) -> None:
    old = token()
    assert bench.whose(old)
    bench.path.write_text(json.dumps({"keys": [jwk(EC, "e")]}))
    assert bench.whose(old), "not looked at again within a second"
    bench.elapsed += 2
    bench.refused(old)
    assert bench.whose(token(key=EC, algorithm="ES256", kid="e"))
    for broken in ("{", "[]", '{"keys": []}', '{"keys": 7}'):
        bench.path.write_text(broken)
        bench.elapsed += 2
        assert bench.whose(token(key=EC, algorithm="ES256", kid="e"))
    bench.path.unlink()
    bench.elapsed += 2
    assert bench.whose(token(key=EC, algorithm="ES256", kid="e"))
    bench.path.write_text(json.dumps(KEYS))
    bench.elapsed += 2
    assert bench.whose(old)


@pytest.mark.parametrize("content", ["", "x", "{}", '{"keys": [{"kty": "oct", "k": "AAAA"}]}'])
def test_a_file_that_cannot_be_used_stops_the_start(tmp_path: Path, content: str) -> None:
    path = tmp_path / "k"
    path.write_text(content)
    pump = Pump()
    threads = WorkerThreads("t", threads=1, waiting=1, call_from_thread=pump.call_from_thread)
    for place in (path, tmp_path / "none"):
        with pytest.raises(SettingsError, match=r"oauth\.jwks_file"):
            JwtIssuer(
                place,
                RULES,
                algorithms=frozenset(ALGORITHMS),
                threads=threads,
                wall_clock=lambda: NOW,
                monotonic=lambda: 0.0,
            )


def test_which_keys_are_usable() -> None:
    small = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    private = json.loads(RSAAlgorithm.to_jwk(RSA))
    useless = [
        jwk(small, "small"),
        jwk(RSA, "enc", use="enc"),
        jwk(RSA, "other", alg="RS512"),
        jwk(RSA, "sign", key_ops=["sign"]),
        {**private, "kid": "private"},
        {"kty": "oct", "k": "AAAA", "kid": "shared"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "RSA"},
        7,
    ]
    usable = [jwk(RSA, "r", use="sig", alg="RS256"), jwk(ED, "d", key_ops=["verify"])]
    found = key_set(json.dumps({"keys": useless + usable}).encode())
    assert [(key.key_id, key.algorithm) for key in found] == [("r", "RS256"), ("d", "EdDSA")]
    with pytest.raises(BadKeySet):
        key_set(json.dumps({"keys": usable * 51}).encode())
