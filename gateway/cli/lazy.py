"""A group whose commands are imported when they are called, so that a short one answers at once.

All of them together take longer to import than most commands take to run.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """Args:
    found_in: ``module:attribute`` by the command's name.
    """

    def __init__(self, *arguments: Any, found_in: Mapping[str, str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._found_in = found_in

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self._found_in})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = self._found_in.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command
