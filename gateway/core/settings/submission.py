"""What is done with mail of our own people: whose name they use, and how much they send.

Never reads anything.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.core.settings import checks
from gateway.core.settings.section import Section, one_or_many

Count = Annotated[int, Field(ge=0, le=10_000_000)]


def _senders(value: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {
        login.strip().lower(): tuple(checks.sender_pattern(each) for each in addresses)
        for login, addresses in value.items()
    }


class SubmissionSettings(Section):
    from_check: Literal["reject", "rewrite-sender", "off"] = Field(
        "reject",
        description="a From of somebody else: refused; taken, and Sender says who it was; taken",
    )
    missing_from: Literal["add", "reject"] = Field(
        "add", description="to a message without From: add the person's primary address, or refuse"
    )
    add_sender: bool = Field(
        False, description="add Sender to mail in the name of a group or by send_as"
    )
    show_login: bool = Field(False, description="say in Received who was logged in")
    send_as_groups: Literal["members", "named", "no"] = Field(
        "members",
        description="who may send as a group's address; named: who [groups] or the directory names",
    )
    send_as: Annotated[
        dict[str, Annotated[tuple[str, ...], BeforeValidator(one_or_many), Field(strict=False)]],
        AfterValidator(_senders),
    ] = Field({}, description="logins, and the addresses and domains each may send as besides")
    send_as_file: str = Field(
        "", description="more of them, a login and its addresses a line; re-read when it changes"
    )
    messages_per_hour: Count = Field(
        0, description="of one person; what is more waits in the queue; 0: no bound"
    )
    messages_per_day: Count = Field(0, description="as messages_per_hour, in 24 hours")
    recipients_per_hour: Count = Field(
        0, description="of all messages of one person together; 0: no bound"
    )
    recipients_per_day: Count = Field(0, description="as recipients_per_hour, in 24 hours")
    most_waiting: Annotated[int, Field(ge=1, le=1000)] = Field(
        10, description="so many times a bound may come and wait; what is more is refused for now"
    )
