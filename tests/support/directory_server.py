"""What the directory servers of the tests have in common: ports, certificates, life and death.

Owns the process and its signals, and the tools of ldap-utils as an administrator or anybody else
uses them. Each server's own file owns its configuration and how it is known to be ready.
"""

from __future__ import annotations

import atexit
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.support.authority import new_authority
from tests.support.programs import need, run
from tests.support.waiting import eventually


class DirectoryServer:
    """To be inherited from: ``start`` and ``administrator`` are the heir's.

    Args:
        directory: of its files; the authority's certificate is ``ca.pem`` in there.
        names: in its certificate.
    """

    administrator: ClassVar[tuple[str, str]]
    """DN or name, and password."""
    lockout_threshold: ClassVar[int] = 3

    port: int
    tls_port: int

    def __init__(self, directory: Path, names: Sequence[str] = ("localhost", "127.0.0.1")) -> None:
        self.directory = directory
        self.authority = new_authority()
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        certificate, key = self.authority.issue(*names)
        (directory / "ca.pem").write_bytes(self.authority.pem)
        (directory / "server.pem").write_bytes(certificate)
        (directory / "server.key").write_bytes(key)
        (directory / "server.key").chmod(0o600)  # Samba takes no key that others may read

    @property
    def uri(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_uri(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ca_file(self) -> Path:
        return self.directory / "ca.pem"

    # -- life and death

    def start(self) -> None:
        raise NotImplementedError

    @property
    def is_running(self) -> bool:
        """Frozen or not."""
        return self._process is not None and self._process.poll() is None

    def _lives(self, process: subprocess.Popen[bytes]) -> None:
        # A test that fails between here and its own stop must not leave a server behind.
        atexit.register(self.stop)
        self._process = process

    def stop(self) -> None:
        atexit.unregister(self.stop)
        process = self._process
        if process is not None:
            self._send(signal.SIGCONT)  # a frozen one would not hear the next
            self._send(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                self._send(signal.SIGKILL)
                process.wait()
        self._process = None

    def kill(self) -> None:
        """As a power cut: nothing is said to anybody."""
        assert self._process is not None
        self._send(signal.SIGKILL)
        self._process.wait()

    def freeze(self) -> None:
        """The kernel goes on accepting connections, and nobody answers."""
        self._send(signal.SIGSTOP)
        assert self._process is not None
        threads = Path("/proc", str(self._process.pid), "task")
        # The last of them may still answer when the signal has been sent, or be about to end.
        eventually(lambda: {_state(each) for each in threads.iterdir()} == {"T"})

    def thaw(self) -> None:
        self._send(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    # -- as a client

    def bind_as(self, name: str, password: str) -> str:
        """Empty if the server takes it, else what it says."""
        who = ("-x", "-D", name, "-w", password)
        answer = self.client("ldapsearch", *who, "-b", "", "-s", "base", "1.1", expect=None)
        return "" if answer.returncode == 0 else answer.stderr.decode("utf-8", "replace")

    def lock_out(self, name: str) -> None:
        """By failed logins, as it happens to people."""
        for _ in range(self.lockout_threshold):
            assert self.bind_as(name, "wrong")

    def change(self, ldif: str) -> None:
        """Apply change records as the administrator."""
        name, password = self.administrator
        self.client("ldapmodify", "-x", "-D", name, "-w", password, stdin=ldif.encode())

    def client(
        self, program: str, *arguments: str, stdin: bytes | None = None, expect: int | None = 0
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program of ldap-utils at this server."""
        command = [need(program), "-H", self.uri, *arguments]
        # All people of a domain in one change take a minute and more on a busy machine.
        return run(command, environ={"LDAPNOINIT": "1"}, stdin=stdin, timeout_s=300, expect=expect)


def _state(thread: Path) -> str:
    """proc_pid_stat(5), behind the name, which may have any character; empty: it is gone."""
    try:
        return (thread / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
