"""What single groups are for, beside what the directory says of them. Never reads anything."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.core.settings import checks
from gateway.core.settings.section import Section, one_or_many

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
