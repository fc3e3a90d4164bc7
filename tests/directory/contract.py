"""What every directory must do, run on the LDIF file and on a real server with the same people.

A test module imports all names and provides the fixture ``place``. The people are in PEOPLE.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from gateway.core.account import Account, Elsewhere
from gateway.core.address import Address
from gateway.core.errors import DirectoryMistake, DirectoryUnavailable, WrongCredentials
from gateway.core.ids import AccountId
from gateway.core.ports.directory import Directory
from tests.support.pump import Pump
from tests.support.slapd import SUFFIX

# "pässwörd" with an NBSP in it: SASLprep would map it to a blank (SECURITY L14).
ODD_PASSWORD = "päss\u00a0wörd"


def person(uid: str, number: int, password: str, *lines: str) -> str:
    coded = base64.b64encode(password.encode()).decode()
    text = f"""\
dn: uid={uid},ou=people,{SUFFIX}
objectClass: inetOrgPerson
objectClass: inetLocalMailRecipient
objectClass: mailPerson
entryUUID: 11111111-2222-3333-4444-{number:012d}
uid: {uid}
cn: {uid.title()} Person
sn: Person
"""
    if password:
        text += f"userPassword:: {coded}\n"
    return text + "".join(f"{line}\n" for line in lines) + "\n"


PEOPLE = (
    person(
        "alice",
        1,
        "{SSHA}Xb/S4U2MboGNgz17/RbMxJCFOAiKHF6TRNAnuw==",
        "mail: Alice@Example.Test",
        "mailLocalAddress: postmaster@example.test",
        "proxyAddresses: smtp:a.liddell@example.test",
        "proxyAddresses: X400:c=DE;o=alice",
        "displayName: Alice Liddell",
    )
    + person(
        "bob",
        2,
        "{ARGON2}$argon2id$v=19$m=19456,t=3,p=1$byuNkMHjR1qk0ht3aPCeNQ"
        "$A9S7EgHnSCmPQsKSGZDFWQADMbGkYmikP9LXmIkkJX4",
        "mail: bob@example.test",
        # The attributes stand in for what a schema of the site's own would have.
        "description: MD5$c2FsdA==$aGFzaA==",
        "description: SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=",  # noqa: E501
        "employeeNumber: cert-of-bob",
    )
    + person(
        "carol",
        3,
        ODD_PASSWORD,
        "mail: carol@example.test",
        "mailHost: Old.example.test",
        "mailRoutingAddress: C.Person@old.example.test",
    )
    + person(
        "dave",
        4,
        "dave-secret",
        "mail: dave@example.test",
        "pwdAccountLockedTime: 000001010000Z",
    )
    + person("twin1", 5, "twin-secret", "mail: twin@example.test")
    + person("twin2", 6, "twin-secret", "mail: twin@example.test")
    + person("nopass", 7, "", "mail: nopass@example.test")
    + person("eve)(uid=*", 8, "eve-secret", "mail: eve@example.test")
    + f"""\
dn: cn=printer,ou=people,{SUFFIX}
objectClass: organizationalRole
objectClass: simpleSecurityObject
objectClass: inetLocalMailRecipient
cn: printer
userPassword: printer-secret
mailLocalAddress: printer@example.test

"""
)


@dataclass
class Place:
    """A directory with PEOPLE in it, and the pump that runs it."""

    directory: Directory
    pump: Pump

    def log_in(self, login: str, password: str | bytes) -> Account:
        octets = password.encode() if isinstance(password, str) else password
        return self.pump.wait(self.directory.authenticate(login, octets))

    def refused(self, login: str, password: str | bytes) -> None:
        with pytest.raises(WrongCredentials) as refusal:
            self.log_in(login, password)
        # SECURITY A6: one text for all reasons, and nothing besides it.
        assert refusal.value.safe_text == "authentication failed"

    def find(self, local_part: str, domain: str = "example.test") -> Account | None:
        return self.pump.wait(self.directory.find_by_address(Address(local_part, domain)))


def test_tells_where_a_persons_mail_goes(place: Place) -> None:
    carol, alice = place.find("carol"), place.find("alice")
    assert carol is not None
    assert carol.elsewhere == Elsewhere(
        "old.example.test", "smtp://old.example.test:25", Address("C.Person", "old.example.test")
    )
    assert alice is not None
    assert alice.elsewhere is None


def test_finds_the_person_by_every_address(place: Place) -> None:
    account = place.find("alice")
    assert account == Account(
        account_id=account.account_id if account else "",  # type: ignore[arg-type]
        login="alice",
        primary_address="alice@example.test",
        addresses=(
            "alice@example.test",
            "postmaster@example.test",
            "a.liddell@example.test",
        ),
        display_name="Alice Liddell",
    )
    assert account.account_id == "11111111-2222-3333-4444-000000000001"
    assert place.find("POSTmaster") == account
    assert place.find("A.Liddell") == account


def test_unknown_addresses_are_nobody(place: Place) -> None:
    assert place.find("nobody") is None
    assert place.find("alice", "other.test") is None
    assert place.find("c=DE;o=alice") is None


def test_entries_that_are_no_people_are_not_found(place: Place) -> None:
    assert place.find("printer") is None
    place.refused("printer@example.test", "printer-secret")


def test_finds_a_person_as_an_administrator_names_one(place: Place) -> None:
    def named(text: str) -> Account | None:
        return place.pump.wait(place.directory.find(text))

    alice = place.find("alice")
    assert alice is not None
    for text in ("alice", "ALICE", "alice@example.test", "A.Liddell@example.test"):
        assert named(text) == alice
    dave = named("dave")
    assert dave is not None
    assert not dave.enabled
    for text in (
        "",
        " ",
        "nobody",
        "nobody@example.test",
        "printer",
        "*",
        "a*",
        "al\nice",
        "alice@",
    ):
        assert named(text) is None
    for text in ("eve)(uid=*", "eve@example.test"):
        assert named(text) == place.find("eve")
    with pytest.raises(DirectoryUnavailable):
        named("twin@example.test")


def test_finds_a_person_by_id_whatever_they_are_called(place: Place) -> None:
    def known_as(account_id: str) -> Account | None:
        return place.pump.wait(place.directory.find_by_id(AccountId(account_id)))

    assert known_as("11111111-2222-3333-4444-000000000001") == place.find("alice")
    dave = known_as("11111111-2222-3333-4444-000000000004")
    assert dave is not None
    assert not dave.enabled
    for nobody in ("11111111-2222-3333-4444-999999999999", "alice", "*", "", "a)(uid=*"):
        assert known_as(nobody) is None


def test_L5_two_entries_are_a_mistake_that_no_other_server_mends(place: Place) -> None:
    with pytest.raises(DirectoryMistake):
        place.find("twin")


def test_logs_in_with_every_login_attribute(place: Place) -> None:
    for login in ("alice", "alice@example.test"):
        assert place.log_in(login, "wonderland").primary_address == "alice@example.test"
    assert place.log_in("bob", "builder").login == "bob"


def test_A6_every_reason_looks_the_same(place: Place) -> None:
    place.refused("alice", "wrong")
    place.refused("nobody", "wonderland")
    place.refused("dave", "dave-secret")
    place.refused("nopass", "anything")


def test_A6_a_disabled_person_is_found_but_may_not_log_in(place: Place) -> None:
    account = place.find("dave")
    assert account is not None
    assert not account.enabled
    place.refused("dave", "dave-secret")


def test_L1_empty_passwords_and_logins_are_refused(place: Place) -> None:
    for login, password in (("alice", ""), ("", "wonderland"), ("", ""), ("nopass", "")):
        place.refused(login, password)


def test_L2_filter_characters_are_only_characters(place: Place) -> None:
    for login in (
        "*",
        "a*",
        "alice)(uid=*",
        "*)(|(uid=*",
        "\\61lice",
        "alice\0",
        "al\nice",
        "\\",
        "(",
        "alice\x13",
        "a" * 257,
    ):
        place.refused(login, "wonderland")
    for local_part in ("*", "a*", "alice)(mail=*", "\\61lice", "alice\\2a"):
        assert place.find(local_part) is None
    assert place.log_in("eve)(uid=*", "eve-secret").primary_address == "eve@example.test"


def test_L4_the_login_is_the_entrys_and_never_the_typed_text(place: Place) -> None:
    expected = place.log_in("alice", "wonderland")
    assert expected.login == "alice"
    for login in ("ALICE", "Alice@EXAMPLE.test"):
        assert place.log_in(login, "wonderland") == expected
    for login in (" alice", "alice ", "alice\u00a0", "\u2028alice", "al\u00adice"):
        place.refused(login, "wonderland")


def test_L5_two_entries_are_nobody(place: Place) -> None:
    place.refused("twin@example.test", "twin-secret")
    assert place.log_in("twin1", "twin-secret").login == "twin1"
    with pytest.raises(DirectoryUnavailable):
        place.find("twin")


def test_L14_passwords_are_sent_as_typed(place: Place) -> None:
    assert place.log_in("carol", ODD_PASSWORD).login == "carol"
    place.refused("carol", ODD_PASSWORD.replace("\u00a0", " "))
    place.refused("carol", "pa\u0308ss\u00a0wo\u0308rd")  # NFD
    place.refused("carol", ODD_PASSWORD.encode("latin-1"))
    place.refused("carol", ODD_PASSWORD.encode() + b"\0")
    place.refused("carol", "\u00ad")
    place.refused("carol", "x" * 2000)


def test_many_at_once_all_get_their_own_answer(place: Place) -> None:
    pump, directory = place.pump, place.directory
    logins = [pump.start(directory.authenticate("alice", b"wonderland")) for _ in range(20)]
    others = [pump.start(directory.find_by_address(Address("bob", "example.test")))] * 5
    assert {pump.wait_for(login).login for login in logins} == {"alice"}
    found = pump.wait_for(others[0])
    assert found is not None
    assert found.login == "bob"


def test_probe_says_what_answered(place: Place) -> None:
    assert place.pump.wait(place.directory.probe())


def test_nothing_is_answered_after_close(place: Place) -> None:
    place.pump.wait(place.directory.close())
    attempts: tuple[Callable[[], object], ...] = (
        lambda: place.log_in("alice", "wonderland"),
        lambda: place.find("alice"),
        lambda: place.pump.wait(place.directory.find("alice")),
        lambda: place.pump.wait(place.directory.probe()),
    )
    for attempt in attempts:
        with pytest.raises(DirectoryUnavailable):
            attempt()
    place.pump.wait(place.directory.close())
