"""Who is asked, and when: the picture, what is remembered, the servers; what an outage leaves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.auth.account_sessions import LEAVE_S, LOOK_EVERY_S
from gateway.core.account import Account
from gateway.core.errors import DirectoryMistake, DirectoryUnavailable, StoreUnavailable
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.ports.picture import SourceState
from gateway.directory.picture import caches
from gateway.directory.picture.cursor import Cursor
from gateway.directory.picture.directory import BY_ID_S
from gateway.directory.presets.openldap import OPENLDAP
from gateway.store.picture.file import PictureFile
from tests.directory.contract import PEOPLE, person
from tests.directory.picturing import COMPLETE, NOW, Case, Servers, address
from tests.support.pump import Pump

RECENT_S = 40.0


def test_no_server_is_asked_for_known_recipients(case: Case) -> None:
    case.servers.down = True
    for local_part in ("alice", "ALICE", "postmaster", "A.Liddell", "bob", "dave"):
        assert case.ask(local_part)
    for local_part, members in (("unique", 3), ("twins", 1), ("deep2", 1), ("itself", 0)):
        group = case.ask(local_part)
        assert isinstance(group, Group)
        assert len(group.members) == members
    alice = case.pump.wait(case.directory.find_by_address(address("alice")))
    assert alice is not None
    for account in (
        case.pump.wait(case.directory.find("alice")),
        case.pump.wait(case.directory.find("a.liddell@example.test")),
        case.pump.wait(case.directory.find_by_id(alice.account_id)),
    ):
        assert account == alice
    assert case.servers.asked == []


def test_a_known_recipient_is_found_without_waiting_for_anything(case: Case) -> None:
    coroutine = case.directory.find_recipient([address("alice")])
    with pytest.raises(StopIteration) as end:
        coroutine.send(None)
    assert end.value.value.login == "alice"


def test_the_nearest_known_name_decides_and_a_tag_costs_no_question(case: Case) -> None:
    assert case.known("alice+news", "alice") == "alice"
    assert case.servers.asked == []


def test_whoever_is_not_in_the_picture_is_asked_for_once_a_minute(case: Case) -> None:
    for _ in range(3):
        assert case.ask("new") is None
    assert len(case.servers.asked) == 1
    case.times.pass_s(caches.NOBODY_S - 1)
    assert case.ask("new") is None
    assert len(case.servers.asked) == 1
    case.times.pass_s(1)
    assert case.ask("new") is None
    assert len(case.servers.asked) == 2


def test_whoever_the_servers_know_is_remembered_for_minutes_and_longer_in_an_outage(
    case: Case, tmp_path: Path
) -> None:
    behind = Case(tmp_path / "behind", case.pump)
    behind.path.parent.mkdir()
    behind.fill(person("new", 77, "", "mail: new@example.test"))
    case.servers = Servers(behind.directory)
    case.directory = case.over()
    assert case.known("new") == "new"
    case.times.pass_s(caches.FOUND_S - 1)
    assert case.known("new") == "new"
    assert len(case.servers.asked) == 1
    case.times.pass_s(1)
    case.servers.down = True
    assert case.known("new") == "new"  # asked again, in vain
    assert len(case.servers.asked) == 2
    case.servers.down = False
    assert case.known("new") == "new"
    assert len(case.servers.asked) == 3


def test_L16_L21_answers_by_id_are_no_older_than_seconds_while_a_server_answers(case: Case) -> None:
    alice = case.pump.wait(case.directory.find("alice"))
    assert alice is not None
    now: list[Account | None] = [alice]

    async def told(account_id: AccountId) -> Account | None:
        return now[0]

    def asked() -> Account | None:
        return case.pump.wait(case.directory.find_by_id(alice.account_id))

    case.directory = case.over(recent_s=RECENT_S)
    case.servers.find_by_id = told  # type: ignore[method-assign]
    case.times.pass_s(RECENT_S + 1)
    assert asked() == alice
    now[0] = disabled = replace(alice, enabled=False)
    case.times.pass_s(BY_ID_S)
    assert asked() == disabled
    assert BY_ID_S + LOOK_EVERY_S + LEAVE_S < 60, "sessions end within a minute"
    now[0] = None
    case.times.pass_s(BY_ID_S)
    assert asked() is None
    now[0] = alice
    case.times.pass_s(LOOK_EVERY_S)
    assert asked() == alice, "a second look asks again"


def test_many_who_ask_at_once_are_one_question(case: Case) -> None:
    pump = case.pump
    gate: list[Any] = []

    async def slow(addresses: Any) -> None:
        from twisted.internet.defer import Deferred

        case.servers.asked.append(("find_recipient", addresses))
        gate.append(Deferred())
        await gate[-1]

    case.servers.find_recipient = slow  # type: ignore[method-assign]
    asking = [pump.start(case.directory.find_recipient([address("new")])) for _ in range(5)]
    assert len(case.servers.asked) == 1
    # Whoever asked first gives up; the others hear the answer all the same.
    asking[0].addErrback(lambda _: None)
    asking[0].cancel()
    gate[0].callback(None)
    assert [pump.wait_for(each) for each in asking[1:]] == [None] * 4
    assert case.ask("new") is None
    assert len(case.servers.asked) == 1


def test_strangers_cannot_push_out_whoever_is_known(case: Case) -> None:
    asked: caches.Asked[int, str] = caches.Asked(
        lambda: case.times.monotonic, most_found=3, most_nobody=3
    )

    async def answer(value: str | None) -> str | None:
        return value

    def ask(key: int, value: str | None) -> str | None:
        return case.pump.wait(asked.ask(key, lambda: answer(value)))

    assert ask(1, "known") == "known"
    for key in range(100, 200):
        assert ask(key, None) is None
    assert ask(1, "asked again") == "known"
    for key in range(2, 5):
        ask(key, "other")
    assert asked.remembered(1) is None


def test_in_an_outage_known_people_are_known_however_old_and_of_others_nobody_can_say(
    case: Case,
) -> None:
    case.servers.down = True
    case.times.pass_s(400 * 86_400)
    assert case.known("alice") == "alice"
    assert isinstance(case.ask("unique"), Group)
    assert len(case.servers.asked) == 2  # each was tried first
    with pytest.raises(DirectoryUnavailable):
        case.ask("new")
    for question in (
        case.directory.find("nobody"),
        case.directory.find_by_id(AccountId("nobody")),
        case.directory.find_by_address(address("nobody")),
        case.directory.find_group(address("nobody")),
    ):
        with pytest.raises(DirectoryUnavailable):
            case.pump.wait(question)


def test_a_stale_picture_comes_after_the_servers(case: Case) -> None:
    case.times.pass_s(601)
    assert case.ask("alice") is None  # gone there, while the picture stood still
    assert [name for name, _ in case.servers.asked] == ["find_recipient"]


def test_L5_what_servers_say_is_ambiguous_is_nobodys_whatever_is_remembered(case: Case) -> None:
    case.times.pass_s(601)
    case.servers.mistaken = True
    with pytest.raises(DirectoryMistake):
        case.ask("alice")


def test_L5_two_in_the_picture_are_nobody_and_no_server_is_asked(
    case: Case, logged: list[str]
) -> None:
    for local_part in ("twin", "clash", "eve", "TWIN"):
        with pytest.raises(DirectoryMistake):
            case.ask(local_part)
    assert case.servers.asked == []
    assert any("nobody gets it" in event for event in logged)


def test_L4_spellings_of_one_address_are_one_person_and_the_value_is_the_entrys(
    case: Case,
) -> None:
    alice = case.ask("alice")
    for local_part in ("ALICE", "Alice", "aLiCe"):
        assert case.ask(local_part) == alice
    for login in ("alice", "ALICE", "ａlice"):
        assert case.pump.wait(case.directory.find(login)) == alice
    assert case.servers.asked == []
    # Blanks and invisible characters make another name, as for the servers.
    for login in (" alice", "alice ", "al\u00adice"):
        assert case.pump.wait(case.directory.find(login)) is None


def test_L25_what_an_entry_may_not_say_is_not_in_the_picture(case: Case) -> None:
    odd = person(
        "odd",
        60,
        "",
        "mail: odd@example.test",
        "mail:: bGluZQ0KYnJlYWtAZXhhbXBsZS50ZXN0",
        "mailLocalAddress: ../../etc/passwd",
        "displayName:: T2RkDQpTdWJqZWN0OiB4",
    )
    case.fill(PEOPLE + odd)
    found = case.ask("odd")
    assert isinstance(found, Account)
    assert found.addresses == ("odd@example.test",)
    assert found.display_name == "Odd Subject: x"


def test_secrets_never_get_into_the_picture(case: Case) -> None:
    octets = b"".join(path.read_bytes() for path in case.path.parent.glob("directory.sqlite*"))
    assert b"uid=bob" in octets
    for secret in (b"SSHA", b"$argon2", b"dave-secret", b"twin-secret"):
        assert secret not in octets


def test_a_picture_that_was_never_complete_is_for_outages_only(case: Case) -> None:
    case.fill(state=SourceState(refreshed_at=NOW))
    assert case.ask("alice") is None
    assert len(case.servers.asked) == 1
    case.servers.down = True
    with pytest.raises(DirectoryUnavailable):
        case.ask("bob")


def test_of_a_picture_made_under_other_settings_only_entries_count_and_only_in_an_outage(
    tmp_path: Path, pump: Pump
) -> None:
    case = Case(tmp_path, pump, fingerprint="of today")
    old, new = (str(Cursor("listing", name)) for name in ("of yesterday", "of today"))
    case.fill(state=replace(COMPLETE, cursor=old))
    assert case.ask("alice") is None
    assert len(case.servers.asked) == 1
    case.servers.down = True
    assert case.known("bob") == "bob"  # as the settings in force read the entry
    # Another id attribute would make another mailbox of it, so the finished account is no use.
    other = replace(OPENLDAP, id_attribute="employeeNumber", address_attributes=("mail",))
    case.directory = case.over(fingerprint="of today", schema=other)
    for local_part in ("alice", "postmaster"):
        with pytest.raises(DirectoryUnavailable):
            case.ask(local_part)
    found = case.ask("bob")
    assert isinstance(found, Account)
    assert found.account_id == "cert-of-bob"
    case.fill(state=replace(COMPLETE, cursor=new))
    case.directory = case.over(fingerprint="of today")
    asked = len(case.servers.asked)
    assert case.known("alice") == "alice"
    assert len(case.servers.asked) == asked


def test_a_picture_that_cannot_be_read_is_as_good_as_none(case: Case, logged: list[str]) -> None:
    case.path.write_bytes(b"scribble" * 1000)
    case.times.pass_s(1)
    for _ in range(3):
        assert case.ask("alice") is None
    assert len(case.servers.asked) == 1
    assert sum("cannot be read" in event for event in logged) == 1


def test_says_where_an_answer_comes_from(case: Case) -> None:
    case.times.pass_s(35)
    whence = case.directory.whence
    assert whence([address("alice")]) == "the picture of the directory, refreshed 35 s ago"
    assert "nobody in the picture" in whence([address("nobody")])
    case.times.pass_s(600)
    assert "is stale" in whence([address("alice")])


def test_a_clock_that_jumps_makes_a_picture_stale_and_loses_nobody(case: Case) -> None:
    """Forward or back: a time that cannot be told does not make it fresh."""
    for days in (10, -400):
        case.times.wall = NOW + days * 86_400
        case.times.monotonic += 2
        asked = len(case.servers.asked)
        assert case.ask("alice") is None
        assert len(case.servers.asked) == asked + 1
        case.times.monotonic += caches.NOBODY_S
        case.servers.down = True
        assert case.known("alice") == "alice"
        case.servers.down = False
    case.times.wall = NOW - 5  # as clocks are set right
    case.times.monotonic += 2
    assert case.known("alice") == "alice"
    assert "refreshed 0 s ago" in case.directory.whence([address("alice")])


def test_what_nobody_may_type_is_no_question_and_takes_no_room(case: Case) -> None:
    assert case.pump.wait(case.directory.find("x" * 100_000)) is None
    assert case.servers.asked == []


def test_a_login_is_the_servers_affair_and_the_picture_remembers_whose_it_was(case: Case) -> None:
    asked = []

    async def authenticate(login: str, password: bytes, may_ask: object) -> Account:
        asked.append(login)
        raise DirectoryUnavailable

    case.servers.authenticate = authenticate  # type: ignore[attr-defined]
    with pytest.raises(DirectoryUnavailable):
        case.pump.wait(case.directory.authenticate("alice", b"wonderland"))
    assert asked == ["alice"]
    case.servers.down = True
    case.times.pass_s(86_400)
    remembered = case.pump.wait(case.directory.find("alice@example.test"))
    assert remembered is not None
    assert remembered.login == "alice"


def test_people_are_listed_from_the_picture(case: Case) -> None:
    listed: list[Account] = []
    while page := case.pump.wait(case.directory.people(listed[-1].account_id if listed else "", 3)):
        listed += page
    assert [account.login for account in listed][:4] == ["alice", "bob", "carol", "dave"]
    assert len(listed) == len({account.account_id for account in listed}) >= 8
    assert case.servers.asked == []


def test_a_picture_of_another_form_is_asked_about_at_the_servers(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.directory.picture.briefs.FORM", "0")
    assert case.known("alice") == "alice"  # made of the entry again
    assert case.servers.asked == []
    monkeypatch.setattr("gateway.directory.picture.briefs.WHOLE_FORM", "0")
    assert case.ask("alice") is None
    assert case.ask("unique") is None
    assert [name for name, _ in case.servers.asked] == ["find_recipient"] * 2


def test_trouble_with_the_picture_never_reaches_whoever_asks(case: Case) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            def fail(*args: object) -> None:
                raise StoreUnavailable(reason="the disk is gone")

            return fail

    directory = case.over(reader=Broken())
    assert case.pump.wait(directory.find_recipient([address("alice")])) is None
    assert PictureFile.open_reading(case.path).state("").people > 0
