"""Asking the running gateway, and doing the work here when none runs.

Owns the choice between the two; what "none runs" means is a socket that nobody answers on. A
gateway that is there and does not answer is an error, as is one that this user may not ask.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.cli.control_client import ControlClient, GatewayNotRunning
from gateway.core.settings.model import Settings
from gateway.core.settings.paths import control_socket

TIMEOUT_S = 90.0
"""Longer than the gateway takes to give up."""


def ask_or(
    settings: Settings, kind: str, body: object, otherwise: Callable[[], dict[str, Any]]
) -> dict[str, Any]:
    """The gateway's answer, or ``otherwise()`` where no gateway runs.

    Raises: GatewayNotRunning, CommandRefused; and what ``otherwise`` raises.
    """
    client = ControlClient(control_socket(Path(settings.state_dir)), TIMEOUT_S)
    try:
        return client.request("POST", f"/v1/{kind}", body=body)
    except GatewayNotRunning as error:
        if not isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError):
            raise
    return otherwise()
