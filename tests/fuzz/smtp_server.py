"""A coverage-guided run of the whole server core against arbitrary octets (``make fuzz``).

What must hold is in ``smtp_session``; this file only connects it to atheris, which is not among the
packages for tests: it is installed by ``make fuzz`` alone, into a folder of its own. New inputs are
kept below FOLDER, never in the seeds. libFuzzer's own options follow ``--``.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

SEEDS = Path(__file__).parent.parent / "data" / "smtp"
MODULES = (
    "gateway.wire.address",
    "gateway.wire.xtext",
    "gateway.wire.smtp_commands",
    "gateway.wire.smtp_parameters",
    "gateway.wire.smtp_xclient",
    "gateway.wire.smtp_syntax",
    "gateway.wire.smtp_extensions",
    "gateway.wire.smtp_order",
    "gateway.wire.smtp_header",
    "gateway.wire.smtp_content",
    "gateway.wire.smtp_data",
    "gateway.wire.smtp_chunks",
    "gateway.wire.smtp_server",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=600, help="how long (default: %(default)s)")
    parser.add_argument(
        "--folder", default=".fuzz", help="for what is found (default: %(default)s)"
    )
    parser.add_argument("options", nargs="*", help="for libFuzzer")
    chosen = parser.parse_args()
    try:
        atheris: Any = importlib.import_module("atheris")
    except ImportError:
        print(
            "atheris is not installed. It has wheels for Linux on x86-64 and Python 3.11 to 3.13;"
            " `make fuzz` installs it and starts this program.",
            file=sys.stderr,
        )
        return 2
    found = Path(chosen.folder) / "found"
    found.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=list(MODULES)):
        for module in MODULES:
            importlib.import_module(module)
    check = importlib.import_module("tests.fuzz.smtp_session").check
    options = [
        sys.argv[0],
        f"-max_total_time={chosen.seconds}",
        "-max_len=8192",
        "-timeout=10",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
        f"-dict={Path(__file__).parent / 'words.dict'}",
        f"-artifact_prefix={chosen.folder}/",
        *chosen.options,
        str(found),
        str(SEEDS),
    ]
    atheris.Setup(options, check)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
