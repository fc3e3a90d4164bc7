"""Where things are inside ``state_dir``; the server and the command must agree on it."""

from __future__ import annotations

from pathlib import Path


def control_socket(state_dir: Path) -> Path:
    """The Unix socket on which the running gateway answers the administrator's command."""
    return state_dir / "control.sock"


def needed_files(state_dir: Path) -> tuple[Path, ...]:
    """Files besides the mail store that a gateway needs to be the same again after a disaster."""
    return (state_dir / "self-signed.pem", state_dir / "self-signed.key")
