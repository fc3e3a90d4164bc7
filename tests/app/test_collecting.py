"""The search for garbage leaves out what a process has built, and nothing else."""

from __future__ import annotations

import gc
import subprocess
import sys

_SCRIPT = """
import gc, weakref
from gateway.app import server
from gateway.app.collecting import spare_what_is_built

spare_what_is_built()
assert not any(each is vars(server) for each in gc.get_objects())

class Ring:
    def __init__(self):
        self.ring = self

gone = weakref.ref(Ring())
gc.collect()
assert gone() is None
"""


def test_what_is_made_later_is_still_found() -> None:
    # In a process of its own: of this one nothing is to be spared.
    subprocess.run([sys.executable, "-c", _SCRIPT], check=True, timeout=60)
    assert not gc.get_freeze_count()
