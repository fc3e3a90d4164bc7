"""A desk for a command: at the running gateway, or on a store that nobody serves.

Owns the choice. What a call takes and answers is the desk's (``gateway.queue.desk``,
``gateway.auth.people_desk``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from gateway.cli.control_client import ControlClient, GatewayNotRunning
from gateway.cli.options import load_settings, state_dir
from gateway.core.settings.paths import control_socket

TIMEOUT_S = 90.0
"""Longer than the gateway takes to give up: a million messages are counted, name servers asked."""

Call = Callable[[str, Mapping[str, Any]], dict[str, Any]]
"""Makes a call at the desk: its name and arguments."""


def at_queue(config_path: str | None, work: Callable[[Call], None]) -> None:
    """Run ``work`` at the queue's desk. Raises: GatewayError."""
    at_gateway(config_path, "queue", "gateway.cli.queue_store", work)


def at_gateway(
    config_path: str | None, desk: str, alone: str, work: Callable[[Call], None]
) -> None:
    """Run ``work`` at a desk.

    Args:
        desk: its name in the control API.
        alone: the module whose ``at_store`` runs the work where no gateway runs.

    Raises: GatewayError.
    """
    client = ControlClient(control_socket(Path(state_dir(config_path))), TIMEOUT_S)
    answered = False

    def ask(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal answered
        answer = ask_gateway(client, name, arguments, desk)
        answered = True
        return answer

    try:
        work(ask)
    except GatewayNotRunning as error:
        if answered or not is_nobody(error):
            raise
        # Imported here only: a store and all that belongs to it take longer than most answers.
        settings = load_settings(config_path).settings
        import_module(alone).at_store(settings, work)


def is_nobody(error: GatewayNotRunning) -> bool:
    """No gateway runs, rather than that this user may not ask it, or that it does not answer."""
    return isinstance(error.__cause__, FileNotFoundError | ConnectionRefusedError)


def ask_gateway(
    client: ControlClient, name: str, arguments: Mapping[str, Any], desk: str = "queue"
) -> dict[str, Any]:
    return client.request("POST", f"/v1/{desk}/{name}", body=dict(arguments))
