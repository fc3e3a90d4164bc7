"""What single groups are for, beside what the directory says of them. Never reads anything."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.core.address import Address
from gateway.core.settings import checks
from gateway.core.settings.section import Section, one_or_many
from gateway.core.shared_mailboxes import MEMBERS, WORDS, WRITE, Deliver, Share, Shares

POSTERS = ("anyone", "authenticated", "members", "owners")
SENDERS = ("members", "owners")
MAX_NAMES = 200


def _name(value: str, words: tuple[str, ...]) -> str:
    if value in words:
        return value
    try:
        if "@" not in value:
            raise ValueError
        return checks.mail_address(value).lower()
    except ValueError:
        named = ", ".join(f'"{word}"' for word in words)
        raise ValueError(f"{named}, or the address of a person or a group") from None


def poster(value: str) -> str:
    return _name(value, POSTERS)


def sender(value: str) -> str:
    return _name(value, SENDERS)


def sharer(value: str) -> str:
    return _name(value, (MEMBERS,))


def group_address(value: str) -> str:
    """Of a group, in lower case."""
    if "@" not in value:
        raise ValueError('the address of a group such as "all@example.com"')
    return checks.mail_address(value).lower()


GroupAddress = Annotated[str, AfterValidator(group_address)]


class GroupSettings(Section):
    post: Annotated[
        tuple[Annotated[str, AfterValidator(poster)], ...],
        BeforeValidator(one_or_many),
        Field(strict=False, max_length=MAX_NAMES),
    ] = Field(
        (),
        description="who may write: anyone, authenticated, members, owners, addresses; empty: see"
        " the directory",
    )
    send_as: Annotated[
        tuple[Annotated[str, AfterValidator(sender)], ...],
        BeforeValidator(one_or_many),
        Field(strict=False, max_length=MAX_NAMES),
    ] = Field(
        (),
        description="who may send in its name: members, owners, addresses; empty: see submission",
    )
    mailbox: Literal["", "shared"] = Field(
        "", description="shared: it has a mailbox of its own, which people open beside theirs"
    )
    deliver: Literal["", "mailbox", "members", "both"] = Field(
        "", description="with mailbox: where mail for it goes; empty: mailbox"
    )
    rights: Annotated[
        dict[
            Annotated[str, AfterValidator(sharer)],
            Literal["none", "read", "write", "full"],
        ],
        Field(max_length=MAX_NAMES),
    ] = Field(
        {},
        description="with mailbox: who may do what there; members write unless said here;"
        " none for an address wins",
    )


def shares_in(groups: Mapping[str, GroupSettings], domains: Iterable[str]) -> Shares:
    """The groups that have mailboxes.

    Args:
        domains: by their main names; in the first one a mailbox is called by its local part alone.
    """
    first = next(iter(domains), "")
    shares = {}
    for text, section in groups.items():
        if not section.mailbox:
            continue
        local, _, domain = text.rpartition("@")
        rights = {MEMBERS: WRITE}
        rights |= {who.casefold(): WORDS[word] for who, word in section.rights.items()}
        name = local if domain == first else text
        deliver = Deliver(section.deliver or Deliver.MAILBOX.value)
        shares[text.casefold()] = Share(Address(local, domain), name, rights, deliver)
    return shares


def senders_of(section: GroupSettings) -> tuple[str, ...]:
    """Who may send in the group's name: of one with a mailbox who may write there, unless the
    setting says it."""
    if section.send_as or not section.mailbox:
        return section.send_as
    words = {MEMBERS: "write"} | section.rights
    return tuple(who for who, word in words.items() if word in ("write", "full")) or ("nobody",)


def refused_senders_of(section: GroupSettings) -> tuple[str, ...]:
    """Who may not, though ``senders_of`` means them too."""
    if section.send_as or not section.mailbox:
        return ()
    return tuple(who for who, word in section.rights.items() if word == "none" and who != MEMBERS)
