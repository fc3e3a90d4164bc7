"""The demo: a folder with a configuration, a certificate and two people, served on loopback.

Owns what is written into the folder, only where it is missing, and the text that tells people what
to try. Everything listens on 127.0.0.1, on a base port plus the standard one (DESIGN section 2).
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from gateway.app.certificates import ensure_self_signed, write_private
from gateway.core.settings.listen import ListenSettings, standard_listeners
from gateway.core.settings.model import Settings

DEFAULT_PORT_BASE = 10_000
MAX_PORT_BASE = 65_535 - 2525

_CONFIGURATION = """\
# Written by `twistd -n gateway --demo`; change it as you like, it is not written again.
hostname = "mail.example.test"
state_dir = {state_dir}
workers = 1
postmaster = "alice@example.test"

[domains."example.test"]

[directory]
kind = "ldif"
path = {people}

[tls]
certificate = {certificate}
key = {key}
"""

_LISTEN = """
[[listen]]
protocol = "{protocol}"
address = "{address}"
tls = "{tls}"
"""

_SEND = (
    "printf 'From: alice@example.test\\r\\nTo: bob@example.test\\r\\n"
    "Subject: Hello\\r\\n\\r\\nHi Bob!\\r\\n' | "
    "curl -sS smtp://127.0.0.1:{submission} -u alice@example.test:wonderland "
    "--mail-from alice@example.test --mail-rcpt bob@example.test -T -"
)

_TEXT = """\
The demo mail server runs for the domain example.test, on 127.0.0.1 only:

  SMTP          {smtp}
  submission    {submission} (STARTTLS), {submissions} (TLS), {alternative}
  POP3          {pop3}, {pop3s} (TLS)
  IMAP          {imap}, {imaps} (TLS)
  web           http://127.0.0.1:{http}/

Two people can log in:

  alice@example.test   password wonderland
  bob@example.test     password builder

Try it from another terminal: Alice writes to Bob, who reads it over IMAP and over POP3.

  {send}
  curl -sS 'imap://127.0.0.1:{imap}/INBOX;MAILINDEX=1' -u bob@example.test:builder
  curl -sS pop3://127.0.0.1:{pop3}/1 -u bob@example.test:builder

What it keeps is in {folder}; stop it with Ctrl-C.
"""


def listeners(port_base: int) -> tuple[ListenSettings, ...]:
    """The demo's listeners: all but HTTPS, which the contract of the demo does not name."""
    return tuple(
        listen
        for listen in standard_listeners("127.0.0.1", port_base)
        if (listen.protocol, listen.tls) != ("http", "implicit")
    )


def prepare(folder: Path, port_base: int) -> Path:
    """Write what is missing into the folder; returns the configuration's path. Raises: OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = folder.resolve()
    files = ensure_self_signed(folder, ("mail.example.test", "localhost"))
    people = folder / "people.ldif"
    if not people.exists():
        write_private(people, resources.files("gateway.app").joinpath("demo.ldif").read_bytes())
    configuration = folder / "gateway.toml"
    if not configuration.exists():
        text = _CONFIGURATION.format(
            state_dir=_quoted(folder / "state"),
            people=_quoted(people),
            certificate=_quoted(files.certificate),
            key=_quoted(files.key),
        )
        for listen in listeners(port_base):
            text += _LISTEN.format(**listen.model_dump())
        write_private(configuration, text.encode())
    return configuration


def _quoted(path: Path) -> str:
    return json.dumps(str(path))  # a JSON string is a TOML basic string


def welcome(settings: Settings, folder: Path) -> str:
    """What to try, with the ports in force."""
    ports: dict[tuple[str, str], list[str]] = {}
    for listen in settings.listen:
        number = listen.address.rpartition(":")[2]
        ports.setdefault((listen.protocol, listen.tls), []).append(number)

    def port(protocol: str, tls: str, index: int = 0) -> str:
        found = ports.get((protocol, tls), [])
        return found[index] if index < len(found) else "(not set)"

    return _TEXT.format(
        send=_SEND.format(submission=port("submission", "starttls")),
        smtp=port("smtp", "starttls"),
        submission=port("submission", "starttls"),
        submissions=port("submission", "implicit"),
        alternative=port("submission", "starttls", 1),
        pop3=port("pop3", "starttls"),
        pop3s=port("pop3", "implicit"),
        imap=port("imap", "starttls"),
        imaps=port("imap", "implicit"),
        http=port("http", "none"),
        folder=folder,
    )
