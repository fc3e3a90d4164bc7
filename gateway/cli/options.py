"""Options that several commands share, and the loading behind them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from gateway.core.settings.load import DEFAULT_PATH, Loaded, load_from

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
    return load_from(config_path, os.environ, lambda name: Path(name).read_text("utf-8"))
