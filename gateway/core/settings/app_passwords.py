"""Passwords made here for one program each. Never reads anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from pydantic import Field

from gateway.core.settings.listen import Networks
from gateway.core.settings.section import Section


class AppPasswordSettings(Section):
    enabled: bool = Field(True, description="people may log in with what `gateway user` makes")
    only: bool = Field(
        False, description="mail programs need one: the directory's passwords are refused"
    )
    exempt: Networks = Field(
        (), description="with only: networks from where those are taken all the same: webmail"
    )
    most: Annotated[int, Field(ge=1, le=100)] = Field(20, description="of one person")
    expire_days: Annotated[int, Field(ge=0, le=36_500)] = Field(
        0, description="each ends after so many days at the latest; 0: when it is revoked"
    )


def app_password_contradictions(section: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields key path, what was found, what is expected."""
    if section.get("only") is True and section.get("enabled") is False:
        expected = "false, as app_passwords.enabled is false and nobody could log in"
        yield "app_passwords.only", "true", expected
    if section.get("exempt") and not section.get("only"):
        yield "app_passwords.exempt", "a value", "nothing without app_passwords.only"
