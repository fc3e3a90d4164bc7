"""The desk for people: what it lists, shows and refuses, and that its deeds are recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.auth import people_desk
from gateway.auth.app_passwords_desk import AppPasswordDesk
from gateway.auth.app_passwords_making import AppPasswordRefused
from gateway.auth.people_desk import PeopleCallRefused, PeopleDesk, PersonUnknown
from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, UnknownRecipient
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.login_reasons import LoginReason
from gateway.core.ports.kept_passwords import Refusal
from gateway.core.quota import Quota
from gateway.core.route import Expansion, LocalMailbox, Member, Outbound, Route
from tests.auth.app_password_world import World
from tests.store.house import House
from tests.support.people import person
from tests.support.pop3_fakes import ALICE
from tests.support.trace_fakes import FakeTrace

STAFF = Group("g1", ("staff@example.test",), (), "Staff")


class Directory:
    def __init__(self, *accounts: Account) -> None:
        self.accounts = sorted(accounts, key=lambda each: each.account_id)
        self.away = False
        self.pages = 0

    async def find(self, login: str) -> Account | None:
        found = [each for each in self.accounts if login in (each.login, *each.addresses)]
        return found[0] if found else None

    async def find_by_id(self, account_id: AccountId) -> Account | None:
        if self.away:
            raise DirectoryUnavailable
        return next((each for each in self.accounts if each.account_id == account_id), None)

    async def people(self, after: str, limit: int, *, directory: str = "") -> Sequence[Account]:
        self.pages += 1
        return [each for each in self.accounts if each.account_id > after][:limit]

    async def groups_of(self, account: Account) -> Sequence[Group]:
        if self.away:
            raise DirectoryUnavailable
        return [STAFF]


class Router:
    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}

    async def route(self, recipient: Address, *, may_relay: bool) -> Route:
        assert not may_relay
        if recipient.key not in self.routes:
            raise UnknownRecipient
        return self.routes[recipient.key]


class Bench:
    def __init__(self, folder: Path, *accounts: Account) -> None:
        self.house = House(folder)
        self.world = World()
        self.directory = Directory(*(accounts or (ALICE,)))
        self.router = Router()
        self.trace = FakeTrace()
        self.looked = 0
        self.people = self.house.store.people
        self.desk = PeopleDesk(
            self.directory,
            self.router,
            self.people.standings,
            self.people.refusals,
            AppPasswordDesk(
                self.world.store,
                self.world.maker,
                self.trace,
                enabled=True,
                networks={"office": ("198.51.100.0/24",)},
                wall_clock=lambda: self.world.store.now,
                revoked=self._look,
            ),
        )

    async def _look(self) -> None:
        self.looked += 1

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        self.house.wait(self.house.store.close())

    def call(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        flow = self.desk.call(name, arguments, "uid 0 (root)")
        # Keys are derived with one pump, the store is read with the other.
        deferred = self.house.pump.start(flow)

        def is_done() -> bool:
            self.world.pump.run_waiting()
            return deferred.called

        self.house.pump.until(is_done)
        return self.house.pump.wait_for(deferred)


def test_D1_an_app_password_is_told_once_it_is_kept_and_recorded_without_it(
    tmp_path: Path,
) -> None:
    with Bench(tmp_path) as bench:
        wanted = {"label": " phone ", "protocols": ["imap"], "networks": ["office"], "days": 3}
        made = bench.call("app-password-create", person="alice", **wanted)
        text = made["password"]
        assert bench.world.say(text) == "NOT_THIS_NETWORK", "it is kept"
        (row,) = bench.call("app-passwords", person="alice")["app_passwords"]
        assert row["label"] == "phone" and row["made_by"] == "uid 0 (root)"
        assert {**row, "login": "alice", "password": text} == made
        (record,) = bench.trace.records
        assert record.kind == "app password made" and record.fields["by"] == "uid 0 (root)"
        assert "alice@example.test" in record.keys
        assert text not in str(record) and text not in str(row)


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({}, "a label"),
        ({"label": "  "}, "a label"),
        ({"label": "\x1b[2J"}, "a label"),
        ({"label": "x" * 65}, "65 characters"),
        ({"label": "x", "protocols": ["smtp"]}, "imap, pop3, submission"),
        ({"label": "x", "protocols": "imap"}, "a list"),
        ({"label": "x", "networks": ["home"]}, r"\(office\)"),
        ({"label": "x", "networks": ["1.2.3.4/8"]}, "a network such as"),
        ({"label": "x", "days": "7"}, "days"),
        ({"label": "x", "days": -1}, "days"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, wanted: dict[str, Any], text: str) -> None:
    with Bench(tmp_path) as bench:
        with pytest.raises(AppPasswordRefused, match=text):
            bench.call("app-password-create", person="alice", **wanted)
        assert bench.world.store.rows == []


def test_revoking_is_all_or_nothing_and_recorded(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        for label in ("phone", "tablet", "printer"):
            bench.call("app-password-create", person="alice", label=label)
        with pytest.raises(AppPasswordRefused, match="no app password 9; expected one of: 1, 2, 3"):
            bench.call("app-password-revoke", person="alice", numbers=[1, 9])
        assert bench.looked == 0 and len(bench.world.store.rows) == 3
        gone = bench.call("app-password-revoke", person="alice", numbers=[2])["revoked"]
        assert [each["label"] for each in gone] == ["tablet"] and bench.looked == 1
        bench.call("app-password-revoke", person="alice", numbers=None)
        assert bench.world.store.rows == []
        kinds = [each.kind for each in bench.trace.records]
        assert kinds == ["app password made"] * 3 + ["app password revoked"] * 3


def test_those_of_people_who_are_gone_can_be_revoked(tmp_path: Path) -> None:
    """Also while the directory is away; but none can be made for them."""
    with Bench(tmp_path) as bench:
        bench.call("app-password-create", person="id:a1", label="phone")
        bench.directory.accounts = []
        with pytest.raises(PersonUnknown):
            bench.call("app-password-create", person="id:a1", label="phone")
        assert bench.call("show", person="id:a1")["state"] == "not in the directory"
        bench.directory.away = True
        with pytest.raises(DirectoryUnavailable):
            bench.call("show", person="id:a1")
        assert len(bench.call("app-passwords", person="id:a1")["app_passwords"]) == 1
        assert len(bench.call("app-password-revoke", person="id:a1")["revoked"]) == 1


def test_one_person_with_all_that_is_known(tmp_path: Path) -> None:
    bob = replace(
        person("bob@example.test", "sales@example.test", "robert@example.org", "b@example.net"),
        condition="locked until 12:00", locked=True,
    )  # fmt: skip
    with Bench(tmp_path, ALICE, bob) as bench:
        house = bench.house
        house.wait(house.store.accept(house.message("1", bob.account_id)))
        house.wait(house.store.quota.set_quota(bob.account_id, Quota(100_000, 0)))
        refusal = Refusal(1_700_000_000, LoginReason.LOCKED, "imap", "192.0.2.1")
        house.wait(bench.people.refusals.note(bob.account_id, refusal))
        members = tuple(
            Member(Address(f"m{number}", "x.test"), LocalMailbox(ALICE)) for number in range(12)
        )
        bench.router.routes = {
            "bob@example.test": LocalMailbox(bob),
            "sales@example.test": LocalMailbox(ALICE),
            "robert@example.org": Expansion("everybody", members),
        }
        shown = bench.call("show", person="sales@example.test")
        assert (shown["state"], shown["condition"]) == ("locked", "locked until 12:00")
        assert shown["quota"]["octets"] == 100_000 and shown["messages"] == 1
        assert shown["groups"] == [{"name": "Staff", "address": "staff@example.test"}]
        own, hers, many, nowhere = shown["mail_goes"]
        assert own["to"] == ["the mailbox here"] and hers["to"] == ["the mailbox of alice"]
        assert many["to"][-1] == "and 2 more" and "nobody here" in nowhere["trouble"]
        (refused,) = shown["refusals"]
        assert refused["reason"] == LoginReason.LOCKED.words and refused["from"] == "192.0.2.1"
        bench.directory.away = True
        bench.router.routes["b@example.net"] = Outbound("smtp://there")
        shown = bench.call("show", person="bob")
        assert shown["groups_trouble"] and shown["mail_goes"][3]["to"][0].endswith("smtp://there")


def test_people_are_listed_in_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(people_desk, "PAGE", 10)
    monkeypatch.setattr(people_desk, "MOST_LOOKED_AT", 30)
    many = [person(f"p{number:03}@example.test", enabled=number != 70) for number in range(100)]
    with Bench(tmp_path, *many) as bench:
        found: list[str] = []
        after = ""
        while True:
            page = bench.call("list", after=after, limit=7)
            found += [each["login"] for each in page["people"]]
            after = page["more_after"]
            if not after:
                break
        assert found == [each.login for each in many]
        # A filter looks at so many for a call, and goes on where it was.
        calls, after, found = 0, "", []
        while calls == 0 or after:
            page = bench.call("list", after=after, disabled=True)
            found += [each["login"] for each in page["people"]]
            after, calls = page["more_after"], calls + 1
        assert found == ["p070"] and calls == 4
        assert [each["login"] for each in bench.call("list", match="P00")["people"]][:2] == [
            "p000", "p001",
        ]  # fmt: skip


def test_other_calls_and_arguments_are_refused(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        for name, arguments in (("delete", {}), ("list", {"limit": "7"}), ("show", {"person": 7})):
            with pytest.raises(PeopleCallRefused):
                bench.call(name, **arguments)
        with pytest.raises(PersonUnknown, match="'carol'"):
            bench.call("show", person="carol")
