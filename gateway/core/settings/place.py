"""Where the state is, without reading what else a configuration says.

For commands that ask the running gateway: the whole configuration takes longer to load than they
take to run, and a mistake in it that the gateway has not read yet is none of their business.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

from gateway.core.settings.paths import DEFAULT_STATE_DIR

_VARIABLE = "GATEWAY_STATE_DIR"
_MARK = "\ufeff"  # a byte order mark


def state_dir_of(text: str, environ: Mapping[str, str]) -> str | None:
    """None: the whole configuration has to be read to know it, or to say what is wrong with it.

    Args:
        text: of the configuration file.
        environ: all variables; they go before the file.
    """
    named = environ.get(_VARIABLE)
    if named is None:
        try:
            named = tomllib.loads(text.removeprefix(_MARK)).get("state_dir", DEFAULT_STATE_DIR)
        except (tomllib.TOMLDecodeError, RecursionError):
            return None
    return named if isinstance(named, str) and named.strip() else None
