"""Programs that nobody here wrote: found, or the test is skipped by name (in CI: failed)."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).parents[2]
UNPACKED = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gateway-tests"
"""Where tests/install-servers unpacks what cannot be installed beside the rest."""


def need(program: str) -> str:
    """The path of an installed program; skips the test by the program's name otherwise."""
    folders = [
        os.environ.get("PATH", ""),
        "/usr/sbin",
        "/sbin",
        *map(str, UNPACKED.glob("*/usr/sbin")),
    ]
    return shutil.which(program, path=":".join(folders)) or _missing(program)


def need_library(name: str) -> str:
    """The path of a library that is not where the linker looks; skips the test otherwise."""
    found = sorted(Path("/usr/lib").glob(f"*/{name}"))
    return str(found[0]) if found else _missing(name)


def _missing(name: str) -> NoReturn:
    message = f"{name} is not installed (see tests/apt-packages.txt)"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


def run(
    command: Sequence[str] | str,
    *,
    environ: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    timeout_s: float = 60.0,
    expect: int | None = 0,
) -> subprocess.CompletedProcess[bytes]:
    """Run to the end with its output caught; a text goes to the shell as pasted."""
    result = subprocess.run(
        command,
        shell=isinstance(command, str),
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environ or {})},
        timeout=timeout_s,
        check=False,
    )
    if expect is not None:
        assert result.returncode == expect, (
            command,
            result.returncode,
            result.stdout[-3000:],
            result.stderr[-3000:],
        )
    return result
