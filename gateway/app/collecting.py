"""Python's search for cyclic garbage, without what is there as long as the process is.

Owns one call, when everything is built. Modules, settings and doors are some hundred thousand
objects, none of which becomes garbage; each look through them holds the reactor up for 100 ms and
more, and the more people come, the more often Python looks. What a reload replaces later is given
back as its last reference goes; a cycle in it is not found, once for each start.
"""

from __future__ import annotations

import gc


def spare_what_is_built() -> None:
    """From now on only what is made later is looked through."""
    gc.freeze()
