"""Secrets for SCRAM and CRAM-MD5, and names of certificates, in both kinds of directory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.core.login_secret import LoginSecret, ScramVerifier, SecretKind, scram_verifier
from gateway.core.ports.directory import Directory
from gateway.directory.ldap.settings import LdapSettings
from gateway.directory.ldif.directory import LdifDirectory
from gateway.directory.passwords import BadPasswordValue, stored_password
from gateway.directory.presets.openldap import OPENLDAP
from gateway.directory.schema import Schema
from gateway.directory.scram_values import BadVerifier, scram_verifier_from, verifier_in
from tests.directory.contract import ODD_PASSWORD, PEOPLE, Place
from tests.directory.ldap_bench import directory_at
from tests.support.pump import Pump
from tests.support.reactor_pump import ReactorPump
from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

# RFC 7677 section 3's example: password "pencil".
PENCIL = b"4096:W22ZaJ0SNY7soEsUEjb6gQ==$%b:%b" % (
    b"WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=",
    b"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",
)
VERIFIER = scram_verifier_from(PENCIL)
SCHEMA = replace(OPENLDAP, secret_attribute="description", certificate_attribute="employeeNumber")


def ldap(slapd: Slapd, pump: ReactorPump, schema: Schema = SCHEMA) -> Directory:
    settings = LdapSettings(
        uris=(slapd.tls_uri,),
        base_dn=SUFFIX,
        bind_dn=READER_DN,
        bind_password=READER_PASSWORD,
        ca_file=slapd.ca_file,
    )
    return directory_at(settings, pump, schema=schema)


def ldif(folder: Path, pump: Pump, text: str = PEOPLE, schema: Schema = SCHEMA) -> Directory:
    path = folder / "people.ldif"
    path.write_text(text, encoding="utf-8")
    return LdifDirectory(path, call_from_thread=pump.call_from_thread, schema=schema)


@pytest.fixture(params=["ldap", "ldif"])
def place(request: pytest.FixtureRequest, tmp_path: Path, pump: ReactorPump) -> Iterator[Place]:
    if request.param == "ldap":
        directory = ldap(request.getfixturevalue("slapd"), pump)
    else:
        directory = ldif(tmp_path, pump)
    yield Place(directory, pump)
    pump.wait(directory.close())


def secret(place: Place, login: str) -> LoginSecret | None:
    return place.pump.wait(place.directory.secret(login))


def test_the_verifier_of_rfc_5803(place: Place) -> None:
    assert scram_verifier(b"pencil", VERIFIER.salt, 4096) == VERIFIER
    found = secret(place, "bob")
    assert found is not None and found.verifier == VERIFIER
    assert found.account == place.find("bob")
    assert secret(place, "BOB@example.test") == found
    assert SecretKind.SCRAM in place.directory.secret_kinds()
    assert place.directory.common_secret_kinds() == frozenset()


@pytest.mark.parametrize(
    "login", ["alice", "nopass", "nobody", "", "printer", "bob*", "bob)(uid=*", "twin@example.test"]
)
def test_A6_people_without_one_unknown_and_ambiguous_people_are_alike(
    place: Place, login: str
) -> None:
    found = secret(place, login)
    assert found is None or (found.verifier, found.password) == (None, None)


def test_a_client_certificates_name(place: Place) -> None:
    def owner(name: str) -> str | None:
        account = place.pump.wait(place.directory.find_by_certificate(name))
        return account.login if account is not None else None

    assert owner("cert-of-bob") == "bob"
    for name in ("bob", "bob@example.test", "", "cert-of-*", "x\0y", "cert-of-bob\n"):
        assert owner(name) is None


def test_without_the_settings_nothing_is_told(slapd: Slapd, pump: ReactorPump) -> None:
    place = Place(ldap(slapd, pump, OPENLDAP), pump)
    assert place.directory.secret_kinds() == frozenset()
    assert secret(place, "bob") is None
    found = pump.wait(place.directory.find_by_certificate("bob@example.test"))
    assert found is not None and found.login == "bob"
    pump.wait(place.directory.close())


def test_a_file_tells_passwords_that_it_keeps(tmp_path: Path, pump: Pump) -> None:
    place = Place(ldif(tmp_path, pump), pump)
    assert place.directory.secret_kinds() == frozenset(SecretKind)
    found = secret(place, "carol")
    assert found is not None and found.password == ODD_PASSWORD.encode()
    disabled = secret(place, "dave")
    assert disabled is not None and not disabled.account.enabled
    pump.wait(place.directory.close())


def person(uid: str, value: str) -> str:
    return (
        f"dn: uid={uid},dc=x\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: x\n"
        f"mail: {uid}@example.test\n{value}\n\n"
    )


def test_verifiers_are_good_for_passwords_as_well(tmp_path: Path, pump: Pump) -> None:
    dovecot = PENCIL.replace(b":", b",").replace(b"$", b",").decode()
    people = (
        person("one", f"userPassword: {{SCRAM-SHA-256}}{PENCIL.decode()}")
        + person("two", f"userPassword: {{SCRAM-SHA-256}}{dovecot}")
        + person("three", f"authPassword: SCRAM-SHA-256 $ {PENCIL.decode()}")
        + person("four", "userPassword: {SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00=")
    )
    place = Place(ldif(tmp_path, pump, people, OPENLDAP), pump)
    assert place.directory.secret_kinds() == {SecretKind.SCRAM}
    assert place.directory.common_secret_kinds() == frozenset(), "four has only a hash"
    for uid in ("one", "two", "three"):
        assert place.log_in(uid, "pencil").login == uid
        place.refused(uid, "pencils")
        found = secret(place, uid)
        assert found is not None and found.verifier == VERIFIER
    pump.wait(place.directory.close())


@pytest.mark.parametrize(
    ("value", "kinds"),
    [
        ("userPassword: secret", {SecretKind.PASSWORD, SecretKind.SCRAM}),
        (f"userPassword: {{SCRAM-SHA-256}}{PENCIL.decode()}", {SecretKind.SCRAM}),
        ("userPassword: {SHA}qvTGHdzF6KLavt4PO0gs2a6pQ00=", set()),
        ("description: has no password at all", {SecretKind.PASSWORD, SecretKind.SCRAM}),
    ],
)
def test_what_is_there_for_everybody(
    tmp_path: Path, pump: Pump, value: str, kinds: set[SecretKind]
) -> None:
    people = person("one", "userPassword: clear") + person("two", value)
    place = Place(ldif(tmp_path, pump, people, OPENLDAP), pump)
    assert place.directory.secret_kinds() == frozenset(SecretKind)
    assert place.directory.common_secret_kinds() == kinds
    pump.wait(place.directory.close())


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"4096",
        PENCIL.replace(b"4096", b"4095"),
        PENCIL.replace(b"4096", b"99999999"),
        PENCIL.replace(b"4096", b"-096"),
        PENCIL.replace(b"W22ZaJ0SNY7soEsUEjb6gQ==", b""),
        PENCIL.replace(b"W22ZaJ0SNY7soEsUEjb6gQ==", b"?"),
        PENCIL.replace(b"WG5d8oPm3Otc", b""),
        PENCIL + b":x",
    ],
)
def test_values_that_are_no_verifier(text: bytes) -> None:
    with pytest.raises(BadVerifier) as error:
        scram_verifier_from(text)
    assert "WG5d" not in str(error.value)
    with pytest.raises(BadPasswordValue):
        stored_password(b"{SCRAM-SHA-256}" + text)
    assert verifier_in([b"SCRAM-SHA-256$" + text]) is None


def test_a_usable_value_is_found_among_others() -> None:
    good = b"SCRAM-SHA-256$" + PENCIL
    values = [b"MD5$x$y", b"SCRAM-SHA-1$" + PENCIL, b"SCRAM-SHA-256$bad$bad", b"", good]
    found: ScramVerifier | None = verifier_in(values)
    assert found == VERIFIER
