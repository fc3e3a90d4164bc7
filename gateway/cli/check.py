"""``gateway check``: can the gateway work as it is configured, here and now?

Owns the command, the order of the looks and how findings are shown; what is looked at is in
``check_host`` and ``check_directory``. Looks as the gateway does and changes nothing; a running
gateway is not disturbed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import click

from gateway.cli.check_directory import directory_findings
from gateway.cli.check_host import host_findings
from gateway.cli.options import config_option, json_option, load_settings
from gateway.cli.plain import plain
from gateway.core.errors import SettingsError
from gateway.core.findings import Finding, Findings, Outcome
from gateway.core.settings.load import Loaded
from gateway.core.settings.model import each_directory
from gateway.core.settings.paths import DEFAULT_PATH
from gateway.directory.presets.from_settings import schema_from
from gateway.routing.from_settings import check_addresses

WRONG_CONFIGURATION = 2
_AREA_WIDTH = 13


@click.command()
@config_option
@json_option
def check(config_path: str | None, as_json: bool) -> None:
    """Look at everything that the gateway needs.

    Configuration, files, certificates, directory, DNS and ports: a line each, and what to do where
    something is wrong. Nothing is changed. The exit status is 1 if anything has failed, and 2 if
    the configuration cannot be used, which ends the look.
    """
    shown: list[Finding] = []
    status = 0
    try:
        loaded = _loaded(config_path)
    except SettingsError as error:
        for problem in error.problems:
            _show(_of_problem(problem.key, problem.found, problem.expected), shown, as_json)
        status = WRONG_CONFIGURATION
    else:
        for finding in _findings(loaded, config_path or DEFAULT_PATH):
            _show(finding, shown, as_json)
    if as_json:
        click.echo(json.dumps([_as_row(finding) for finding in shown], indent=2))
    else:
        click.echo(_summary(shown))
    if not status and any(finding.outcome is Outcome.FAILED for finding in shown):
        status = 1
    if status:
        raise SystemExit(status)


def _loaded(config_path: str | None) -> Loaded:
    """Raises: SettingsError."""
    loaded = load_settings(config_path)
    for name, section in each_directory(loaded.settings):
        schema_from(section, loaded.origins, f'directories."{name}"' if name else "directory")
    check_addresses(loaded.settings, loaded.origins)
    return loaded


def _findings(loaded: Loaded, path: str) -> Iterator[Finding]:
    settings = loaded.settings
    yield Findings("configuration").ok(path)
    yield from host_findings(settings)
    for name, section in each_directory(settings):
        yield from directory_findings(name, section, settings)


def _of_problem(key: str, found: str, expected: str) -> Finding:
    return Findings("configuration").failed(f"{key}: found {found}", f"expected {expected}")


def _show(finding: Finding, shown: list[Finding], as_json: bool) -> None:
    """At once, as the next look may take its time."""
    shown.append(finding)
    if as_json:
        return
    lead = f"{finding.outcome.value:<8}{finding.area:<{_AREA_WIDTH}} "
    click.echo(lead + plain(finding.found))
    if finding.advice:
        click.echo(" " * len(lead) + plain(f"-> {finding.advice}"))


def _as_row(finding: Finding) -> dict[str, str]:
    return {
        "area": finding.area,
        "outcome": finding.outcome.value,
        "found": finding.found,
        "advice": finding.advice,
    }


def _summary(shown: Sequence[Finding]) -> str:
    failed = sum(finding.outcome is Outcome.FAILED for finding in shown)
    warnings = sum(finding.outcome is Outcome.WARNING for finding in shown)
    if not failed and not warnings:
        return "all is well"
    return f"{failed} failed, {warnings} {'warning' if warnings == 1 else 'warnings'}"
