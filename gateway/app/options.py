"""The command line of ``twistd gateway``: where the configuration is, or the demo's folder.

Owns exit status 2 for a wrong command line or configuration (DESIGN section 2): twistd itself would
exit with 1 and print its whole help.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

from twisted.python import usage

from gateway.app import demo
from gateway.core.errors import SettingsError
from gateway.core.settings.load import Loaded, load_from
from gateway.core.settings.paths import DEFAULT_PATH
from gateway.directory.presets.from_settings import check_schemas
from gateway.routing.from_settings import check_addresses


class Options(usage.Options):
    """``--config FILE`` or ``--demo DIR [--port-base N]``."""

    synopsis = "[--config FILE | --demo DIR [--port-base N]]"
    longdesc = (
        "Serves SMTP, POP3 and IMAP for the people of a directory, as the configuration says. "
        "`gateway config check` tells whether a configuration can be used."
    )
    optParameters = [
        ["config", "c", None, f"configuration file [default: {DEFAULT_PATH}]"],
        ["demo", None, None, "make a demo in this folder if it is not there yet, and serve it"],
        [
            "port-base",
            None,
            None,
            f"the demo's ports are this plus the standard ones [default: {demo.DEFAULT_PORT_BASE}]",
        ],
    ]

    def parseOptions(self, options: Any = None) -> None:
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            refuse(f"{error}\nTry: twistd gateway --help")

    def postOptions(self) -> None:
        if self["config"] is not None and self["demo"] is not None:
            raise usage.UsageError("--config and --demo exclude each other")
        base = self._port_base()
        try:
            if self["demo"] is not None:
                path: str | None = str(
                    demo.prepare(Path(self["demo"]), base or demo.DEFAULT_PORT_BASE)
                )
            else:
                path = self["config"]
            loaded = load_from(path, os.environ, lambda name: Path(name).read_text("utf-8"))
            check_schemas(loaded.settings, loaded.origins)
            check_addresses(loaded.settings, loaded.origins)
        except SettingsError as error:
            refuse("\n".join(str(problem) for problem in error.problems))
        except OSError as error:
            refuse(f"--demo {self['demo']}: {error.strerror}; expected a folder to write into")
        if base is not None:
            settings = loaded.settings.model_copy(update={"listen": demo.listeners(base)})
            loaded = Loaded(settings, {**loaded.origins, "listen": "--port-base"})
        self["loaded"] = loaded

    def _port_base(self) -> int | None:
        text = self["port-base"]
        if text is None:
            return None
        if self["demo"] is None:
            raise usage.UsageError("--port-base goes with --demo")
        if not (text.isascii() and text.isdigit() and int(text) <= demo.MAX_PORT_BASE):
            raise usage.UsageError(
                f"--port-base: found {text!r}; expected a number from 0 to {demo.MAX_PORT_BASE}"
            )
        return int(text)


class CannotStart(Exception):
    """What twistd's launcher prints when the daemon behind it does not start."""


def refuse(text: str, status: int = 2) -> NoReturn:
    """End the program with a message on standard error and no traceback."""
    # twistd turns sys.stderr into its log once that has begun.
    for line in text.splitlines():
        print(f"gateway: {line}", file=sys.__stderr__)
    raise SystemExit(status)
