"""Where things are inside ``state_dir``; the server and the command must agree on it."""

from __future__ import annotations

from pathlib import Path


def control_socket(state_dir: Path) -> Path:
    """The Unix socket on which the running gateway answers the administrator's command."""
    return state_dir / "control.sock"
