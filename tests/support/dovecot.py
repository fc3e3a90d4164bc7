"""Dovecot's IMAP server over a pipe, with a Maildir of its own in a temporary directory.

The ``imap`` process alone, as ``ssh host /usr/lib/dovecot/imap`` is used: no daemon, no port and no
password. Dovecot refuses to serve root, so root hands the directory and the process to ``nobody``.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.imap_talk import ImapTalk
from tests.support.programs import need

_PROGRAM = "/usr/lib/dovecot/imap"

_CONFIG = """\
base_dir = {directory}/run
state_dir = {directory}/run
log_path = {directory}/log
mail_location = maildir:{directory}/Maildir
mail_uid = {uid}
mail_gid = {gid}
first_valid_uid = {uid}
first_valid_gid = {gid}
mail_fsync = never
protocols = imap
ssl = no
namespace inbox {{
  inbox = yes
  separator = /
}}
"""


@contextmanager
def dovecot() -> Iterator[ImapTalk]:
    """A session that is logged in, with an empty INBOX."""
    program = need(_PROGRAM)
    uid, gid = os.getuid(), os.getgid()
    is_root = uid == 0
    if is_root:
        nobody = pwd.getpwnam("nobody")
        uid, gid = nobody.pw_uid, nobody.pw_gid
    # Not below pytest's own directories: those are closed to other users.
    directory = Path(tempfile.mkdtemp(prefix="dovecot-"))
    try:
        config = directory / "dovecot.conf"
        config.write_text(_CONFIG.format(directory=directory, uid=uid, gid=gid))
        for path in (directory, config):
            os.chown(path, uid, gid)
        process = subprocess.Popen(
            [program, "-c", str(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(directory), "USER": "bob"},
            cwd=directory,
            user=uid if is_root else None,
            group=gid if is_root else None,
            extra_groups=() if is_root else None,
        )
        with process:
            assert process.stdin is not None and process.stdout is not None
            try:
                yield ImapTalk(process.stdout, process.stdin)
            finally:
                process.stdin.close()  # as a client that goes away
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
