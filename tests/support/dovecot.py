"""Dovecot with a Maildir of its own in a temporary directory: over a pipe, or on a port.

The ``imap`` process alone, as ``ssh host /usr/lib/dovecot/imap`` is used: no daemon and no
password. On a port, a few lines here play the login in front of it. Dovecot refuses to serve root,
so root hands the directory and the process to ``nobody``.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.imap_talk import ImapTalk
from tests.support.programs import need

_PROGRAM = "/usr/lib/dovecot/imap"

_CONFIG = """\
base_dir = {directory}/run
state_dir = {directory}/run
log_path = {directory}/log
mail_location = maildir:{directory}/Maildir{layout}
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


class DovecotHome:
    """The directory; ``maildir`` in it is there after the first session, or may be put there."""

    def __init__(self, directory: Path, layout: str = "") -> None:
        self.directory = directory
        self.maildir = directory / "Maildir"
        self._program = need(_PROGRAM)
        self._uid, self._gid = os.getuid(), os.getgid()
        self._is_root = self._uid == 0
        if self._is_root:
            nobody = pwd.getpwnam("nobody")
            self._uid, self._gid = nobody.pw_uid, nobody.pw_gid
        config = directory / "dovecot.conf"
        config.write_text(
            _CONFIG.format(directory=directory, uid=self._uid, gid=self._gid, layout=layout)
        )
        self.hand_over()

    def hand_over(self) -> None:
        """Everything in the directory becomes Dovecot's."""
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, self._uid, self._gid, follow_symlinks=False)

    def start(self, stdin: int = subprocess.PIPE, stdout: int = subprocess.PIPE) -> Process:
        """A process for one session, which greets at once."""
        return subprocess.Popen(
            [self._program, "-c", str(self.directory / "dovecot.conf")],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            env={
                "PATH": os.environ.get("PATH", ""),
                "HOME": str(self.directory),
                "USER": "bob",
            },
            cwd=self.directory,
            user=self._uid if self._is_root else None,
            group=self._gid if self._is_root else None,
            extra_groups=() if self._is_root else None,
        )

    @contextmanager
    def session(self) -> Iterator[ImapTalk]:
        """A session that is logged in."""
        with self.start() as process:
            assert process.stdin is not None and process.stdout is not None
            try:
                yield ImapTalk(process.stdout, process.stdin)
            finally:
                process.stdin.close()  # as a client that goes away
                _end(process)


Process = subprocess.Popen[bytes]


def _end(process: Process) -> None:
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()


@contextmanager
def dovecot_home(layout: str = "") -> Iterator[DovecotHome]:
    # Not below pytest's own directories: those are closed to other users.
    directory = Path(tempfile.mkdtemp(prefix="dovecot-"))
    try:
        yield DovecotHome(directory, layout)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def dovecot() -> Iterator[ImapTalk]:
    """A session that is logged in, with an empty INBOX."""
    with dovecot_home() as home, home.session() as talk:
        yield talk


class DovecotPort:
    """The same on a port of 127.0.0.1: bob's password is ``secret``.

    ``cuts`` holds, for connections to come, after how many octets each is cut; without it none is.
    """

    def __init__(self, home: DovecotHome) -> None:
        self.cuts: list[int] = []
        self.logins = 0
        self._home = home
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb", 0) as lines, suppress(OSError):
            connection.sendall(b"* OK ready\r\n")
            while True:
                tag, _, command = lines.readline().rstrip().partition(b" ")
                if not command:
                    return
                if re.fullmatch(rb'LOGIN "?bob"? "?secret"?', command):
                    break
                if command == b"CAPABILITY":
                    connection.sendall(b"* CAPABILITY IMAP4rev1\r\n%b OK done\r\n" % tag)
                else:
                    connection.sendall(b"%b NO [AUTHENTICATIONFAILED] no\r\n" % tag)
            self.logins += 1
            self._pass_on(connection, tag)

    def _pass_on(self, connection: socket.socket, tag: bytes) -> None:
        left = self.cuts.pop(0) if self.cuts else 1 << 60
        with self._home.start(stdin=connection.fileno()) as process:
            assert process.stdout is not None
            process.stdout.readline()  # PREAUTH
            connection.sendall(b"%b OK logged in\r\n" % tag)
            try:
                while left > 0 and (octets := os.read(process.stdout.fileno(), 65536)):
                    connection.sendall(octets[:left])
                    left -= len(octets)
            finally:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                process.stdout.close()
                _end(process)


@contextmanager
def dovecot_port(home: DovecotHome) -> Iterator[DovecotPort]:
    server = DovecotPort(home)
    try:
        yield server
    finally:
        server.close()
