"""What every section of the configuration is made of. Never reads anything."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict

from gateway.core.settings import checks


def one_or_many(value: object) -> object:
    """``uri = "ldaps://a"`` is as good as ``uri = ["ldaps://a"]``."""
    return [value] if isinstance(value, str) else value


Domain = Annotated[str, AfterValidator(checks.domain)]
HostPort = Annotated[str, AfterValidator(checks.host_port)]


class Section(BaseModel):
    """Frozen, strict about types, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
