"""The ``gateway`` command: a group of commands, each in the file of its noun.

Owns the group, the version and the exit statuses (0; 1 failure; 2 wrong command line or
configuration) for errors that commands let through. No traceback reaches the administrator.
"""

from __future__ import annotations

import sys
from importlib import metadata

import click

from gateway.cli.lazy import LazyGroup
from gateway.core.errors import GatewayError, SettingsError

_EPILOG = """\
\b
Options stand behind the command:
  gateway check --config ./gateway.toml
  gateway status --json
\b
Exit status: 0 all is well; 1 failure, or something is wrong; 2 wrong command line or configuration.
"""


_COMMANDS = {
    "backup": "gateway.cli.backup:backup",
    "check": "gateway.cli.check:check",
    "config": "gateway.cli.config:group",
    "doctor": "gateway.cli.doctor:doctor",
    "explain": "gateway.cli.explain:explain",
    "export": "gateway.cli.export:group",
    "health": "gateway.cli.health:health",
    "import": "gateway.cli.import_:group",
    "mailbox": "gateway.cli.mailbox:group",
    "queue": "gateway.cli.queue:group",
    "restore": "gateway.cli.restore:restore",
    "status": "gateway.cli.status:status",
    "tlsrpt": "gateway.cli.tlsrpt:group",
    "trace": "gateway.cli.trace:trace",
    "user": "gateway.cli.user:group",
    "verify": "gateway.cli.verify:verify",
}


@click.group(
    cls=LazyGroup,
    found_in=_COMMANDS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(metadata.version("mail-gateway"), prog_name="gateway")
def cli() -> None:
    """Administer the mail gateway. The server itself is started with `twistd -n gateway`."""


def main() -> None:
    """Run the command line and exit."""
    try:
        cli(prog_name="gateway", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(2)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except SettingsError as error:
        for problem in error.problems:
            click.echo(str(problem), err=True)
        sys.exit(2)
    except GatewayError as error:
        click.echo(f"gateway: {error}", err=True)
        sys.exit(1)
    except OSError as error:  # commands turn what they expect into GatewayError
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"gateway: {where}{error.strerror or error}", err=True)
        sys.exit(1)
