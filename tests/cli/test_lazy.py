"""Commands are found where the groups say, under their names, and imported when called."""

from __future__ import annotations

import subprocess
import sys

import click

from gateway.cli.lazy import LazyGroup
from gateway.cli.main import cli


def groups(group: click.Group) -> list[LazyGroup]:
    context = click.Context(group)
    found = [group] if isinstance(group, LazyGroup) else []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None and command.name == name
        if isinstance(command, click.Group):
            found += groups(command)
    return found


def test_every_command_is_found_under_its_name() -> None:
    found = groups(cli)
    assert [each.name for each in found] == ["cli", "queue", "user"]
    assert found[0].get_command(click.Context(found[0]), "nonsense") is None


def test_a_look_at_the_queue_imports_no_store() -> None:
    code = "import gateway.cli.queue, sys; sys.exit('gateway.store.store' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
