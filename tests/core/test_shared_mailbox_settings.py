"""What the settings say of groups' mailboxes, and what of it contradicts."""

from __future__ import annotations

import pytest

from gateway.core.settings.groups import refused_senders_of, senders_of, shares_in
from gateway.core.settings.load import load
from gateway.core.settings.model import Settings
from gateway.core.shared_mailboxes import FULL, MEMBERS, NOTHING, READ, WRITE, Deliver
from tests.core.test_mistakes import GOOD, problems


def settings(groups: str) -> Settings:
    text = f"{GOOD}\n{groups}"
    return load(text, source="f", environ={}, read_secret=lambda _: "").settings


def test_a_section_makes_a_mailbox() -> None:
    made = settings(
        """
[groups."Info@Example.com"]
mailbox = "shared"
[groups."sales@example.org"]
mailbox = "shared"
deliver = "both"
rights = {members = "read", "Boss@example.com" = "full", "temps@example.com" = "none"}
[groups."all@example.com"]
post = "members"
"""
    )
    shares = shares_in(made.groups, made.domains)
    assert sorted(shares) == ["info@example.com", "sales@example.org"]
    info, sales = shares["info@example.com"], shares["sales@example.org"]
    assert (info.name, info.rights, info.deliver) == ("info", {MEMBERS: WRITE}, Deliver.MAILBOX)
    # Only in the first domain by the local part alone, so that no name depends on other sections.
    assert (sales.name, sales.deliver) == ("sales@example.org", Deliver.BOTH)
    assert sales.rights == {MEMBERS: READ, "boss@example.com": FULL, "temps@example.com": NOTHING}


@pytest.mark.parametrize(
    ("section", "senders"),
    [
        ("", ()),
        ('mailbox = "shared"', ("members",)),
        ('mailbox = "shared"\nsend_as = ["owners"]', ("owners",)),
        ('mailbox = "shared"\nrights = {members = "read"}', ("nobody",)),
        (
            'mailbox = "shared"\nrights = {members = "none", "b@example.com" = "full"}',
            ("b@example.com",),
        ),
    ],
)
def test_who_may_write_there_sends_in_its_name(section: str, senders: tuple[str, ...]) -> None:
    made = settings(f'[groups."info@example.com"]\n{section}')
    assert senders_of(made.groups["info@example.com"]) == senders
    assert refused_senders_of(made.groups["info@example.com"]) == ()


def test_whose_right_is_none_sends_not_in_its_name_either() -> None:
    shared = '[groups."info@example.com"]\nmailbox = "shared"\n'
    shared += 'rights = {members = "none", "temps@example.com" = "none", "b@example.com" = "full"}'
    refused = refused_senders_of(settings(shared).groups["info@example.com"])
    assert refused == ("temps@example.com",)
    by_rule = settings(f'{shared}\nsend_as = "members"').groups["info@example.com"]
    assert refused_senders_of(by_rule) == ()


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ('deliver = "both"', 'groups."info@example.com".deliver: found "both"; expected nothing'),
        ('rights = {members = "read"}', 'groups."info@example.com".rights: found a table'),
        ('mailbox = "own"', 'groups."info@example.com".mailbox: found "own"'),
        ('mailbox = "shared"\nrights = {members = "rw"}', ".rights.members: found"),
        ('mailbox = "shared"\nrights = {owners = "read"}', '"members", or the address of a person'),
    ],
)
def test_contradictions_are_told(section: str, expected: str) -> None:
    (problem,) = problems(f'{GOOD}\n[groups."info@example.com"]\n{section}\n')
    assert expected in problem


def test_a_mailbox_needs_a_name_and_a_domain_that_has_mailboxes() -> None:
    found = problems(
        GOOD.replace(
            "[directory]", '[domains."old.example.com"]\nrelay = "smtp://old"\n[directory]'
        )
        + '[groups."info@old.example.com"]\nmailbox = "shared"\n'
        + '[groups."a/b@example.com"]\nmailbox = "shared"\n'
    )
    assert len(found) == 2
    assert 'all mail for domains."old.example.com" is relayed' in found[0]
    assert "an address without / % *" in found[1]
