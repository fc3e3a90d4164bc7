"""RCPT of a group that not everybody may write to: replies, trace, rehearsal, send-as by group."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, UnknownRecipient
from gateway.core.group import Group, Named
from gateway.core.route import Expansion, LocalMailbox, Member, Outbound, Route
from gateway.edge.smtp.rehearsal import Rehearsal
from gateway.edge.smtp.rehearsal_groups import MAX_MEMBERS
from gateway.edge.smtp.rehearsal_request import Request
from gateway.policy.group_rules import GroupRules, Rule
from gateway.policy.posting import GroupPosting
from gateway.policy.senders import Senders
from tests.support.smtp_fakes import ALICE, BOB, SmtpBench

ALL = Group(
    "g",
    ("all@example.test",),
    ("alice@example.test",),
    "Everybody",
    people={"alice@example.test": ALICE},
    nested=("Inner",),
    dynamic=("(title=boss) below the directory's base, sub",),
    delegates=Named(frozenset((BOB.account_id,))),
)


class World:
    """Routes all@ to the group, with so many members; alice and bob are people."""

    def __init__(self, members: int = 1) -> None:
        self.members = [Member(Address("alice", "example.test"), LocalMailbox(ALICE))]
        self.members += [
            Member(Address(f"x{n}", "far.test"), Outbound()) for n in range(members - 1)
        ]
        self.fails = False

    async def route(self, recipient: Address, *, may_relay: bool, steps: Any = None) -> Route:
        if recipient.local_part == "all":
            return Expansion("group all", tuple(self.members), ("gone: nobody",), groups=(ALL,))
        if recipient.local_part == "far":
            return Outbound("smtp://exchange.test", group=ALL)
        people = {"alice": ALICE, "bob": BOB}
        if recipient.local_part not in people:
            raise UnknownRecipient
        return LocalMailbox(people[recipient.local_part])

    async def groups_of(self, account: Account) -> Sequence[Group]:
        if self.fails:
            raise DirectoryUnavailable
        return [ALL] if account is ALICE else []

    async def find_recipient(self, addresses: Sequence[Address]) -> Account | Group | None:
        known: dict[str, Account | Group] = {"all": ALL, "alice": ALICE, "bob": BOB}
        return known.get(addresses[0].local_part)


def bench(world: World, *names: str, protocol: str = "smtp", **more: Any) -> SmtpBench:
    meaning = GroupRules(world, lambda domain: domain == "example.test")
    rules = {"all@example.test": Rule.of(names)} if names else {}
    return SmtpBench(
        protocol,
        router=world,
        posting=GroupPosting(meaning, rules=rules),
        auth=more.pop("auth", None),
        **more,
    )


REFUSAL = (
    b"550 5.7.1 this address takes mail from its members only; log in if you are one of them\r\n"
)


def test_a_group_refuses_at_rcpt_and_nobody_else_with_it() -> None:
    made = bench(World(), "members")
    client = made.ready()
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
    assert client.say(b"RCPT TO:<all@example.test>") == REFUSAL
    # Also of one whose server is another: what that one refuses is a report to somebody forged.
    assert client.say(b"RCPT TO:<far@example.test>") == REFUSAL
    assert client.say(b"RCPT TO:<bob@example.test>").startswith(b"250 ")
    record = next(each for each in made.trace.records if each.kind == "refused")
    verdicts = cast(list[dict[str, Any]], record.fields["verdicts"])
    assert verdicts[0]["check"] == "group_post"
    assert verdicts[0]["action"] == "reject"


def test_who_has_logged_in_may_write_to_their_group() -> None:
    world = World()
    client = bench(world, "members", protocol="submission").submitter()
    assert client.say(b"MAIL FROM:<alice@example.test>").startswith(b"250 ")
    assert client.say(b"RCPT TO:<all@example.test>").startswith(b"250 ")


def test_a_relay_network_is_believed_and_only_that() -> None:
    made = bench(World(), "members", may_relay=lambda ip: ip == "10.0.0.1")
    for ip, sender, code in (
        ("10.0.0.1", b"alice@example.test", b"250"),
        ("10.0.0.1", b"x@far.test", b"550"),
        ("10.0.0.2", b"alice@example.test", b"550"),
    ):
        client = made.ready(ip)
        client.say(b"MAIL FROM:<" + sender + b">")
        assert client.say(b"RCPT TO:<all@example.test>").startswith(code)


def test_S36_a_directory_in_trouble_defers() -> None:
    world = World()
    world.fails = True
    made = bench(world, "board@example.test", protocol="submission")
    client = made.submitter()
    client.say(b"MAIL FROM:<alice@example.test>")
    assert client.say(b"RCPT TO:<all@example.test>").startswith(b"451 4.4.3 ")


def test_a_group_without_a_rule_takes_mail_from_anyone() -> None:
    client = bench(World()).ready()
    client.say(b"MAIL FROM:<>")
    assert client.say(b"RCPT TO:<all@example.test>").startswith(b"250 ")


def explained(made: SmtpBench, **request: Any) -> dict[str, Any]:
    shared = made.factory._shared
    asked = Request("bob@example.test", ("all@example.test",), "192.0.2.9", **request)
    sessions = SimpleNamespace(new_id=lambda: "1", objection=lambda _: "")
    rehearsal = Rehearsal(shared.door, shared.services, cast(Any, sessions), asked)
    found: list[Any] = []
    Deferred.fromCoroutine(rehearsal.run()).addBoth(found.append)
    answer: dict[str, Any] = found[0]
    return next(step for step in answer["steps"] if step["stage"] == "recipient")


def test_explain_shows_who_gets_it_and_who_may_write() -> None:
    made = bench(World(members=120), "members")
    made.people["bob@example.test"] = BOB
    step = explained(made)
    shown = step["expansion"]
    assert shown["member_count"] == 120
    assert len(shown["members"]) == MAX_MEMBERS
    assert shown["members"][0] == {"address": "alice@example.test", "to": "mailbox of alice"}
    assert shown["dead"] == ["gone: nobody"]
    assert shown["groups"][0]["nested"] == ["Inner"]
    assert shown["groups"][0]["searches"] == list(ALL.dynamic)
    first, second = step["checks"]
    assert (first["check"], first["action"]) == ("group_post", "reject")
    assert "not logged in" in first["reason"]
    assert second["reason"].startswith("after a login: bob may not write to all@example.test")
    assert step["reply"][0].startswith("550 5.7.1 ")


@pytest.mark.parametrize(
    ("who", "names", "members_may", "allowed"),
    [
        (ALICE, (), True, True),
        (ALICE, (), False, False),
        (ALICE, ("members",), False, True),
        (ALICE, ("bob@example.test",), True, False),
        (BOB, ("bob@example.test",), True, True),
        # whom the directory names, whatever the settings say
        (BOB, (), False, True),
        (BOB, ("alice@example.test",), True, True),
    ],
)
def test_who_may_send_as_a_group(
    who: Account, names: tuple[str, ...], members_may: bool, allowed: bool
) -> None:
    world = World()
    senders = Senders(
        world,
        groups=world,
        rules={"all@example.test": Rule.of(names)} if names else {},
        meaning=GroupRules(world, lambda _: True),
        members_may=members_may,
    )
    found: list[Any] = []
    names_of = senders.of(who)
    Deferred.fromCoroutine(names_of.find(Address("all", "example.test"))).addBoth(found.append)
    assert (found[0] is not None) is allowed
