"""Where things are inside ``state_dir``; the server and the command must agree on it."""

from __future__ import annotations

from pathlib import Path

DEFAULT_PATH = "/etc/gateway/gateway.toml"
"""Of the configuration."""
DEFAULT_STATE_DIR = "/var/lib/gateway"


def control_socket(state_dir: Path) -> Path:
    """The Unix socket on which the running gateway answers the administrator's command."""
    return state_dir / "control.sock"


def login_key(state_dir: Path) -> Path:
    """What salts are invented with for people who do not exist (RFC 5802)."""
    return state_dir / "login.key"


def directory_picture(state_dir: Path) -> Path:
    """What was last seen of the directory; it may be lost, and is in no backup."""
    return state_dir / "directory.sqlite"


def needed_files(state_dir: Path) -> tuple[Path, ...]:
    """Files besides the mail store that a gateway needs to be the same again after a disaster."""
    certificate = (state_dir / "self-signed.pem", state_dir / "self-signed.key")
    return (*certificate, login_key(state_dir))
