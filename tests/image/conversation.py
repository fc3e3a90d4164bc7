"""The container started as an administrator would: environment variables, an LDAP server, a volume.

Run by ``check.sh`` inside a private network. Prints a line for each step; an assertion ends it.
"""

from __future__ import annotations

import imaplib
import json
import os
import poplib
import shlex
import smtplib
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.support.slapd import READER_DN, READER_PASSWORD, SUFFIX, Slapd

PEOPLE = f"""\
dn: uid=alice,ou=people,{SUFFIX}
objectClass: inetOrgPerson
uid: alice
cn: Alice Liddell
sn: Liddell
mail: alice@example.test
userPassword: wonderland
"""
MESSAGE = (
    b"From: bob@example.com\r\nTo: alice@example.test\r\nSubject: container\r\n\r\n.it works\r\n"
)
UID = 10025
START_S = 60.0
STOP_S = 30.0


def say(text: str) -> None:
    print(f"image-check: {text}", flush=True)


def container(*words: str, environment: dict[str, str], volumes: dict[Path, str]) -> list[str]:
    """The command line that runs something in the container as its own user."""
    command = shlex.split(os.environ["CONTAINER_RUN"])
    for name, value in environment.items():
        command += ["--env", f"{name}={value}"]
    for here, there in volumes.items():
        command += ["--volume", f"{here}:{there}:ro"]
    return [*command, os.environ["CONTAINER"], "--", *words]


def entry_point() -> list[str]:
    """What ``docker run`` would start."""
    command = shlex.split(os.environ["CONTAINER_RUN"])
    command = [*command[: command.index("run")], "inspect", os.environ["CONTAINER"]]
    shown = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    words: list[str] = json.loads(shown.stdout)["Docker"]["config"]["Entrypoint"]
    return words


def wait_for_line(log: Path, line: str, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + START_S
    while line not in log.read_text(errors="replace").splitlines():
        assert process.poll() is None, f"ended with {process.returncode}:\n{log.read_text()}"
        assert time.monotonic() < end, f"not ready:\n{log.read_text()}"
        time.sleep(0.1)


def gateway_processes() -> list[int]:
    """Processes of the container's user in our own network; buildah has some for itself."""
    own = os.readlink("/proc/self/ns/net")
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if not entry.name.isdigit() or entry.stat().st_uid != UID:
                continue
            ours = os.readlink(entry / "ns" / "net") == own
            if ours and (entry / "comm").read_text() == "twistd\n":
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate is the container's own
    return context


def converse() -> None:
    with smtplib.SMTP("127.0.0.1", 25, "client.example.com") as smtp:
        smtp.starttls(context=unverified())
        smtp.sendmail("bob@example.com", ["alice@example.test"], MESSAGE)
    say("sent a message by SMTP with STARTTLS to port 25")
    with imaplib.IMAP4_SSL("127.0.0.1", 993, ssl_context=unverified()) as imap:
        imap.login("alice", "wonderland")
        imap.select("INBOX")
        _, data = imap.fetch("1", "(BODY[])")
        assert isinstance(data[0], tuple) and data[0][1].endswith(MESSAGE), data
    say("read it over IMAP, port 993")
    pop3 = poplib.POP3_SSL("127.0.0.1", 995, context=unverified())
    pop3.user("alice")
    pop3.pass_("wonderland")
    lines = pop3.retr(1)[1]
    pop3.quit()
    assert b"\r\n".join([*lines, b""]).endswith(MESSAGE), lines
    say("read it over POP3, port 995")
    with urllib.request.urlopen("http://127.0.0.1/healthz", timeout=10) as page:
        assert page.read() == b"ok\n"
    say("/healthz says ok")


def written_elsewhere(root: Path, since: float) -> list[str]:
    """Files written outside the places that a read-only root leaves."""
    found = []
    for folder, folders, files in os.walk(root):
        if Path(folder) == root:
            folders[:] = [f for f in folders if f not in ("proc", "sys", "dev", "tmp", "run")]
        for name in files:
            path = Path(folder, name)
            inside = path.relative_to(root)
            fresh = not path.is_symlink() and path.stat().st_mtime > since
            if fresh and not inside.is_relative_to("var/lib/gateway"):
                found.append(str(inside))
    return found


def main(folder: Path) -> None:
    folder.chmod(0o711)
    slapd = Slapd(folder / "slapd", PEOPLE)
    slapd.start()
    say("OpenLDAP answers")
    password = folder / "password"
    password.write_text(READER_PASSWORD + "\n")
    authority = folder / "ca.pem"
    authority.write_bytes(slapd.ca_file.read_bytes())
    for path in (password, authority):
        path.chmod(0o444)
    volumes = {password: "/run/secrets/ldap", authority: "/run/secrets/directory-ca.pem"}
    environment = {
        "GATEWAY_HOSTNAME": "mail.example.test",
        "GATEWAY_DOMAINS": "example.test",
        "GATEWAY_DIRECTORY__KIND": "ldap",
        "GATEWAY_DIRECTORY__URI": slapd.tls_uri,
        "GATEWAY_DIRECTORY__BASE_DN": SUFFIX,
        "GATEWAY_DIRECTORY__BIND_DN": READER_DN,
        "GATEWAY_DIRECTORY__BIND_PASSWORD_FILE": "/run/secrets/ldap",
        "GATEWAY_DIRECTORY__CA_FILE": "/run/secrets/directory-ca.pem",
        "GATEWAY_TLS__SELF_SIGNED": "true",
    }
    since = time.time()
    log = folder / "gateway.log"
    command = container(*entry_point(), environment=environment, volumes=volumes)
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for_line(log, "gateway ready", process)
        say("the container says: gateway ready")
        pids = gateway_processes()
        assert len(pids) == 1, pids
        check = container("gateway", "health", environment=environment, volumes=volumes)
        shown = subprocess.run(check, capture_output=True, text=True)
        assert shown.returncode == 0, shown
        say("its health check: " + "; ".join(shown.stdout.splitlines()))
        converse()
        os.kill(pids[0], 15)
        status = process.wait(STOP_S)
        text = log.read_text(errors="replace")
        assert "stopped" in text and "Traceback" not in text, text
        assert status == 0, f"exit status {status}"
        say(f"SIGTERM: drained, the store closed, exit status {status}")
        elsewhere = written_elsewhere(Path(os.environ["ROOT"]), since)
        assert not elsewhere, elsewhere
        say("nothing was written outside /var/lib/gateway and /tmp")
    except BaseException:
        sys.stderr.write(log.read_text(errors="replace")[-8000:])
        raise
    finally:
        for pid in gateway_processes():  # killing buildah alone would leave it behind
            os.kill(pid, 9)
        process.kill()
        process.wait()
        slapd.stop()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
