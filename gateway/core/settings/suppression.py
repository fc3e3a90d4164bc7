"""How long addresses elsewhere may be refused before nothing is sent to them for a while."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gateway.core.settings.section import Section


class SuppressionSettings(Section):
    after: Annotated[int, Field(ge=0, le=1000)] = Field(
        5, description="messages in a row that another server has no such mailbox for; 0: never"
    )
    over_s: Annotated[int, Field(ge=0)] = Field(
        172_800, description="the first and the last of them at least so far apart (2 days)"
    )
    for_s: Annotated[int, Field(ge=60)] = Field(
        604_800, description="after this the next message is tried again (7 days)"
    )
