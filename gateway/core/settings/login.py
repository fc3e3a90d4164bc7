"""How people may prove who they are, beyond passwords. Never reads anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from gateway.core.settings import checks
from gateway.core.settings.listen import Networks
from gateway.core.settings.section import Section, one_or_many

MechanismName = Literal[
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "EXTERNAL",
    "OAUTHBEARER",
    "XOAUTH2",
    "PLAIN",
    "LOGIN",
    "CRAM-MD5",
]


class LoginSettings(Section):
    mechanisms: Annotated[tuple[MechanismName, ...], Field(strict=False)] = Field(
        (),
        description="SASL mechanisms to offer where they work; empty: all that everybody can use",
    )
    scram_iterations: Annotated[int, Field(ge=4096, le=1_000_000)] = Field(
        4096, description="of SCRAM where the directory keeps no verifier; as many as in those"
    )
    scram_salt_octets: Annotated[int, Field(ge=8, le=64)] = Field(
        16, description="of SCRAM's salts, likewise; 12 in what gsasl makes"
    )
    certificate_name: Literal["email", "common_name", "fingerprint"] = Field(
        "email", description="what of a client certificate names its owner (EXTERNAL)"
    )
    failures_per_minute: Annotated[int, Field(ge=1, le=10_000)] = Field(
        10, description="failed logins from an address (IPv6: its /64); then it has to wait"
    )
    failures_per_day: Annotated[int, Field(ge=1, le=100_000)] = Field(
        50, description="the same for a day"
    )
    asked_per_login: Annotated[int, Field(ge=1, le=200)] = Field(
        4,
        description="failures of a login from where it is not known in half an hour;"
        " below the directory's lock-out",
    )
    asked_per_person: Annotated[int, Field(ge=1, le=60)] = Field(
        8,
        description="failures of a person by any name; fewer where the directory's lock-out"
        " can be read and is lower",
    )
    exempt: Networks = Field(
        (), description="networks whose failures do not count for addresses: webmail, proxies"
    )
    remembered_s: Annotated[float, Field(ge=0, le=60, strict=False)] = Field(
        60.0, description="a login that worked works again for so long without asking; 0: never"
    )
    outage_days: Annotated[int, Field(ge=0, le=90)] = Field(
        14,
        description="while the directory is away, the password that worked last serves for so"
        " long; 0: not at all",
    )
    tell_reasons: bool = Field(
        False,
        description="tell people with the right password why they are refused: expired, disabled",
    )


class OAuthSettings(Section):
    issuer: str = Field("", description="whose tokens are taken (iss); empty: nobody's")
    audience: Annotated[tuple[str, ...], BeforeValidator(one_or_many), Field(strict=False)] = Field(
        (), description="tokens must be for one of these (aud)"
    )
    jwks_file: str = Field(
        "", description="the issuer's public keys (JWK Set); re-read when it changes"
    )
    introspection_url: Annotated[str, AfterValidator(checks.https_url)] = Field(
        "", description="or: where the issuer tells about a token (RFC 7662)"
    )
    client_id: str = Field("", description="with introspection_url: who we are to the issuer")
    client_secret: SecretStr = Field(SecretStr(""), description="its secret")
    client_secret_file: str = Field("", description="a file that holds it")
    ca_file: str = Field("", description="certificates that the issuer's is checked against")
    login_claims: Annotated[
        tuple[str, ...],
        BeforeValidator(one_or_many),
        Field(strict=False),
        AfterValidator(checks.not_empty),
    ] = Field(
        ("email", "preferred_username", "sub"),
        description="the first one that a token has names the person: a login or an address",
    )
    algorithms: Annotated[
        tuple[Literal["RS256", "ES256", "EdDSA"], ...],
        Field(strict=False),
        AfterValidator(checks.not_empty),
    ] = Field(("RS256", "ES256", "EdDSA"), description="signatures that are taken")
    leeway_s: Annotated[float, Field(ge=0, le=300, strict=False)] = Field(
        30.0, description="how far the issuer's clock may be from ours"
    )


_WITH_TOKENS = ("OAUTHBEARER", "XOAUTH2")
_SCRAM = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")


def login_contradictions(
    login: Mapping[str, Any], raw: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """Mechanisms that could work nowhere, and verifiers that nothing would use. Yields as below."""
    mechanisms = login.get("mechanisms", [])
    if not isinstance(mechanisms, list):
        return
    directory = raw.get("directory")
    ldap = isinstance(directory, Mapping) and directory.get("kind") == "ldap"
    verifiers = isinstance(directory, Mapping) and directory.get("secret_attribute")
    for index, name in enumerate(mechanisms):
        needed = None
        if name in _WITH_TOKENS and not _has_issuer(raw):
            needed = "oauth.issuer"
        elif name == "EXTERNAL" and not _asks_for_certificates(raw):
            needed = "client_ca_file of a listener"
        elif name in _SCRAM and ldap and not verifiers and not _has_app_passwords(raw):
            needed = "directory.secret_attribute or app_passwords"
        elif name == "CRAM-MD5" and ldap:
            needed = 'passwords in clear, which no directory.kind = "ldap" tells'
        if needed is not None:
            yield f"login.mechanisms[{index}]", f'"{name}"', f"nothing without {needed}"
    if ldap and verifiers and not any(name in mechanisms for name in _SCRAM):
        # Nobody has looked whether everybody there has a verifier, so SCRAM must be named.
        expected = '"SCRAM-SHA-256" among them, as directory.secret_attribute is set'
        yield "login.mechanisms", ", ".join(map(str, mechanisms)) or "nothing", expected


def _has_app_passwords(raw: Mapping[str, Any]) -> bool:
    section = raw.get("app_passwords")
    return not (isinstance(section, Mapping) and section.get("enabled") is False)


def _has_issuer(raw: Mapping[str, Any]) -> bool:
    oauth = raw.get("oauth")
    return isinstance(oauth, Mapping) and bool(oauth.get("issuer"))


def _asks_for_certificates(raw: Mapping[str, Any]) -> bool:
    listeners = raw.get("listen")
    return isinstance(listeners, list) and any(
        isinstance(each, Mapping) and each.get("client_ca_file") for each in listeners
    )


def oauth_contradictions(oauth: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields key path, what was found, what is expected."""
    issuer = oauth.get("issuer")
    ways = [name for name in ("jwks_file", "introspection_url") if oauth.get(name)]
    if not issuer:
        for name in (*ways, "audience"):
            if oauth.get(name):
                yield "oauth.issuer", "nothing", f"the issuer, as oauth.{name} is set"
                return
        return
    if len(ways) != 1:
        found = "nothing" if not ways else "both oauth.jwks_file and oauth.introspection_url"
        yield "oauth.jwks_file", found, "either it or oauth.introspection_url"
    if "jwks_file" in ways and not oauth.get("audience"):
        expected = "whom tokens are for, or any of the issuer's would do, also another program's"
        yield "oauth.audience", "nothing", expected
    for name in ("client_id", "ca_file"):
        if oauth.get(name) and "introspection_url" not in ways:
            yield f"oauth.{name}", "a value", "nothing without oauth.introspection_url"
