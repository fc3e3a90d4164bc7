"""Our certificates. Never reads a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from gateway.core.settings import checks
from gateway.core.settings.section import Section, one_or_many

ServerName = Annotated[str, AfterValidator(checks.server_name)]


class SniSettings(Section):
    names: Annotated[
        tuple[ServerName, ...],
        BeforeValidator(one_or_many),
        Field(strict=False),
        AfterValidator(checks.not_empty),
    ] = Field(description="clients that ask for one of these get it; *.example.com: any host there")
    certificate: Annotated[str, AfterValidator(checks.file_name)] = Field(
        description="PEM file: certificate, then its chain"
    )
    key: Annotated[str, AfterValidator(checks.file_name)] = Field(
        description="PEM file: private key without passphrase"
    )


class TlsSettings(Section):
    certificate: str = Field("", description="PEM file: certificate, then its chain")
    key: str = Field("", description="PEM file: private key without passphrase")
    self_signed: bool = Field(
        False, description="for trials: make a self-signed certificate in state_dir"
    )
    minimum_version: Literal["1.2", "1.3"] = Field(
        "1.2", description="of TLS; 1.3 shuts out clients from before 2018"
    )
    sni: Annotated[tuple[SniSettings, ...], Field(strict=False)] = Field(
        (), description="more certificates, chosen by the name that the client asks for"
    )


def sni_contradictions(tls: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yields key path, what was found, what is expected: every name has one certificate."""
    owner: dict[str, int] = {}
    entries = tls.get("sni")
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        names = entry.get("names") if isinstance(entry, Mapping) else None
        for name in [names] if isinstance(names, str) else names or []:
            if not isinstance(name, str):
                continue
            first = owner.setdefault(name.lower(), index)
            if first != index:
                found = f'"{name}" of tls.sni[{first}] again'
                yield f"tls.sni[{index}].names", found, "each name once"
