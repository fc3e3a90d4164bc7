"""``twistd`` whose gateway waits for other servers seconds instead of RFC 5321's minutes.

For tests with servers that never answer: goes before the command line of the real program. Nothing
else differs, and nothing in the gateway knows of it.
"""

from __future__ import annotations

import sys
from dataclasses import fields

from twisted.scripts.twistd import run

from gateway.delivery.timeouts import Timeouts

LIMIT_S = 6.0


def main() -> None:
    defaults = tuple(LIMIT_S for _ in fields(Timeouts))
    Timeouts.__init__.__defaults__ = defaults
    assert Timeouts() == Timeouts(*defaults)
    sys.argv = sys.argv[1:]
    run()


if __name__ == "__main__":
    main()
