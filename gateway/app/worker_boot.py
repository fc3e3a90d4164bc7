"""What the parent hands to a worker, in the one file that ``boot`` passes on.

Owns the form: settings as they are in force (secrets included, and so never shown), the certificate
that the worker could not read itself any more, and which inherited descriptor is what.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from gateway.core.settings.model import Settings
from gateway.edge.tls_material import TlsMaterial


@dataclass(frozen=True, slots=True)
class WorkerBoot:
    """What one worker is to do.

    Args:
        number: 1 to ``workers``.
        listeners: descriptors of the listening sockets, in the order of the settings.
        connections: descriptor of the memory in which all workers count.
        connections_key: for ``SharedConnectionLimits``, ``SharedCounters`` and ``SharedMarks``.
        tls: our certificates, if any listener uses TLS.
        reactor: module of the parent's reactor; twistd's --reactor counts for all.
    """

    number: int
    settings: Settings
    listeners: tuple[int, ...]
    connections: int
    connections_key: bytes = field(repr=False)
    tls: TlsMaterial | None
    clear_text_login: bool
    reactor: str

    def to_json(self) -> dict[str, Any]:
        """Plain data, secrets in clear."""
        return {
            "number": self.number,
            "settings": _revealed(self.settings),
            "listeners": list(self.listeners),
            "connections": self.connections,
            "connections_key": self.connections_key.hex(),
            "tls": self.tls.to_json() if self.tls is not None else None,
            "clear_text_login": self.clear_text_login,
            "reactor": self.reactor,
        }

    @classmethod
    def from_json(cls, boot: Mapping[str, Any]) -> WorkerBoot:
        """What ``to_json`` made."""
        tls = boot["tls"]
        return cls(
            number=boot["number"],
            settings=Settings.model_validate_json(json.dumps(boot["settings"])),
            listeners=tuple(boot["listeners"]),
            connections=boot["connections"],
            connections_key=bytes.fromhex(boot["connections_key"]),
            tls=TlsMaterial.from_json(tls) if tls is not None else None,
            clear_text_login=boot["clear_text_login"],
            reactor=boot["reactor"],
        )


def _revealed(settings: Settings) -> Any:
    def secret(value: object) -> str:
        assert isinstance(value, SecretStr), f"{type(value).__name__} in the settings"
        return value.get_secret_value()

    return json.loads(json.dumps(settings.model_dump(), default=secret))
