"""Options that several commands share, and the loading behind them.

What reads a whole configuration is imported when it is needed, as that takes longer than a command
at the running gateway.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from gateway.core.settings.paths import DEFAULT_PATH
from gateway.core.settings.place import state_dir_of

if TYPE_CHECKING:
    from gateway.core.settings.load import Loaded

Command = TypeVar("Command", bound=Callable[..., Any])


def config_option(command: Command) -> Command:
    """``--config FILE``, which every command takes after its name."""
    return click.option(
        "--config",
        "config_path",
        metavar="FILE",
        help=f"Configuration file [default: {DEFAULT_PATH}].",
    )(command)


def json_option(command: Command) -> Command:
    """``--json`` for output that programs read."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def person_argument(command: Command) -> Command:
    """Whom the command is about: a login, an address, or ``id:`` and an immutable id."""
    return click.argument("person")(command)


def load_settings(config_path: str | None) -> Loaded:
    """The configuration in force for this command. Raises: SettingsError."""
    from gateway.core.settings.load import load_from

    return load_from(config_path, os.environ, lambda name: Path(name).read_text("utf-8"))


def state_dir(config_path: str | None) -> str:
    """Of the gateway that this command asks. Raises: SettingsError."""
    found = None
    # Where it cannot be read, loading says so, or does without.
    with contextlib.suppress(OSError, UnicodeDecodeError):
        found = state_dir_of(Path(config_path or DEFAULT_PATH).read_text("utf-8"), os.environ)
    return found or load_settings(config_path).settings.state_dir
