"""``gateway config``: show and check the configuration."""

from __future__ import annotations

import json
from collections.abc import Sequence

import click

from gateway.cli.options import config_option, json_option, load_settings
from gateway.core.settings.show import Shown, effective
from gateway.directory.presets.from_settings import check_schemas
from gateway.routing.from_settings import check_addresses


@click.group("config")
def group() -> None:
    """Show and check the configuration."""


@group.command()
@config_option
def check(config_path: str | None) -> None:
    """Name every mistake in the settings.

    The files that they name (certificate, people) are read when the gateway starts.
    """
    loaded = load_settings(config_path)
    check_schemas(loaded.settings, loaded.origins)
    check_addresses(loaded.settings, loaded.origins)
    click.echo("configuration ok")


@group.command()
@config_option
@json_option
def show(config_path: str | None, as_json: bool) -> None:
    """Print the effective settings with where each came from. Secrets are not shown."""
    settings = list(effective(load_settings(config_path)))
    if as_json:
        rows = [{"key": s.key, "value": s.value, "origin": s.origin} for s in settings]
        click.echo(json.dumps(rows, indent=2))
    else:
        click.echo(_as_lines(settings))


def _as_lines(settings: Sequence[Shown]) -> str:
    left = [f"{s.key} = {json.dumps(s.value)}" for s in settings]
    width = min(72, max(map(len, left)))
    return "\n".join(
        f"{text:<{width}}  # {setting.origin}" for text, setting in zip(left, settings, strict=True)
    )
