"""A child process for tests: says something, waits for a word on the line, ends."""

from __future__ import annotations

import os
import sys

from gateway.app.boot import parent_line, read_boot

boot = read_boot()
with parent_line() as line:
    print(boot["say"], flush=True)
    settings = [name for name in os.environ if name.startswith("GATEWAY_")]
    print(" ".join(settings) or "no settings", file=sys.stderr, flush=True)
    line.sendall(b"ready")
    word = line.recv(1)
    print("no newline at the end" if word else "alone", end="", flush=True)
sys.exit(3)
