"""A long list as one JSON array on standard output, written row by row and never held whole."""

from __future__ import annotations

import json

import click


class JsonArray:
    """Use: ``add`` each row, then ``end``."""

    def __init__(self) -> None:
        self._rows = 0

    def add(self, row: object) -> None:
        click.echo("," if self._rows else "[", nl=False)
        click.echo(json.dumps([row], indent=2)[1:-2], nl=False)
        self._rows += 1

    def end(self) -> None:
        click.echo("\n]" if self._rows else "[]")
