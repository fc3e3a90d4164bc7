"""What becomes of people who leave or get another name. Never reads anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from gateway.core.settings import checks
from gateway.core.settings.section import Section


class LeaverSettings(Section):
    keep_addresses_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        365,
        description="mail for an address that the directory took from somebody goes to them still"
        " for so long, unless somebody else has it; 0: not at all",
    )
    mail: Literal["accept", "forward", "refuse"] = Field(
        "accept", description="what becomes of mail for people whom the directory has disabled"
    )
    after_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        0, description="with mail: from so many days after they were disabled; accepted until then"
    )
    forward_to: Annotated[str, AfterValidator(checks.mail_address)] = Field(
        "", description='with mail = "forward": the address that gets it'
    )
    gone: Literal["unknown", "as_disabled"] = Field(
        "unknown",
        description="addresses of people who are gone from the directory: nobody's, or by mail and"
        " after_days like those of disabled people",
    )


def leaver_contradictions(section: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields key path, what was found, what is expected."""
    mail = section.get("mail", "accept")
    if mail == "forward" and not section.get("forward_to"):
        yield "leavers.forward_to", "nothing", 'an address, as leavers.mail is "forward"'
    if mail != "forward" and section.get("forward_to"):
        yield "leavers.forward_to", "a value", 'nothing without leavers.mail = "forward"'
    if mail == "accept" and section.get("after_days"):
        expected = "nothing, as mail is accepted anyway (leavers.mail)"
        yield "leavers.after_days", str(section["after_days"]), expected
