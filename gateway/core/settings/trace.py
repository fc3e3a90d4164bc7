"""How long and how much is kept of what happened. Never reads anything."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.core.settings.section import Section


class TraceSettings(Section):
    keep_days: Annotated[int, Field(ge=0, le=3_650)] = Field(
        30, description="`gateway trace` tells of so many days; 0: nothing is recorded"
    )
    max_octets: Annotated[int, Field(ge=1_048_576)] = Field(
        2_147_483_648, description="what is recorded takes no more than this; the oldest goes first"
    )

    @property
    def keep_s(self) -> int:
        return self.keep_days * 86_400
