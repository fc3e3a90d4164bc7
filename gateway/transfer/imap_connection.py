"""A connection to the old IMAP server: TLS, login, and coming back when it was lost.

Owns the standard library's client and what its errors mean. TLS is verified; without it nothing is
sent but to this machine itself, unless the administrator insists. Opens mailboxes by EXAMINE alone,
so nothing there changes.

Limits: TIMEOUT_S for each read, ANSWER_OCTETS for what one command brings; a lost connection is
tried again after each of PAUSES_S, and a command on which it is lost ATTEMPTS times is given up.
"""

from __future__ import annotations

import base64
import imaplib
import re
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from gateway.core.hosts import is_loopback
from gateway.transfer.imap_replies import Piece
from gateway.transfer.values import SourceFailed

T = TypeVar("T")

TIMEOUT_S = 60.0
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0, 60.0)
ATTEMPTS = 5
ANSWER_OCTETS = 64 * 1024 * 1024
MAX_TEXT = 300

LOST = (imaplib.IMAP4.abort, OSError, EOFError)
"""What a connection that is gone raises."""


class Refused(Exception):
    """The server answered NO or BAD, or breaks the connection each time; the text says which."""


_ENDLESS = re.compile(rb"\{\d{11,}\+?\}\r?\n\Z")


class _Client(imaplib.IMAP4):
    """imaplib reserves as many octets as a server announces, and keeps all that comes."""

    octets_left = ANSWER_OCTETS

    def read(self, size: int) -> bytes:
        self._spend(size)
        return super().read(size)

    def readline(self) -> bytes:
        line = super().readline()
        self._spend(ANSWER_OCTETS + 1 if _ENDLESS.search(line) else len(line))
        return line

    def _spend(self, octets: int) -> None:
        self.octets_left -= octets
        if self.octets_left < 0:
            raise self.abort(f"one answer has more than {ANSWER_OCTETS:,} octets")


class _TlsClient(_Client, imaplib.IMAP4_SSL):
    """The same with TLS from the first octet."""


@dataclass(frozen=True, slots=True)
class ImapServer:
    """Whom to ask, and as whom.

    Args:
        auth_user: whose password it is, when that is an administrator's and not the person's.
    """

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    auth_user: str = ""
    tls: Literal["implicit", "starttls", "none"] = "implicit"
    ca_file: Path | None = None
    allow_clear_text: bool = False
    timeout_s: float = TIMEOUT_S

    @property
    def shown(self) -> str:
        return f"{self.host}:{self.port}"


class ImapConnection:
    """Blocks. ``sleep`` is how it waits before it tries again."""

    def __init__(self, server: ImapServer, sleep: Callable[[float], None]) -> None:
        if server.tls == "none" and not (server.allow_clear_text or is_loopback(server.host)):
            raise SourceFailed(
                f"{server.shown} is another machine, and the password would go there in clear text;"
                " use TLS, or insist by --allow-clear-text"
            )
        if re.search(r"[\0\r\n]", server.user + server.auth_user + server.password):
            raise SourceFailed("a login or password has a line end or NUL in it")
        self._server = server
        self._sleep = sleep
        self._client: _Client | None = None
        self._selected: tuple[bytes, int] | None = None

    # -- coming and going

    def connect(self) -> None:
        """Connect and log in, once.

        Raises: SourceFailed (a refusal, or a certificate), LOST.
        """
        server = self._server
        try:
            client = self._open()
        except ssl.SSLCertVerificationError as error:
            raise SourceFailed(
                f"{server.shown}: its certificate does not prove who it is: {error.verify_message};"
                " name the authority that signed it by --ca-file"
            ) from error
        except imaplib.IMAP4.error as error:
            _raise_if_lost(error)
            raise SourceFailed(f"{server.shown}: {self._told(error)}") from error
        try:
            self._log_in(client)
        except imaplib.IMAP4.error as error:
            _log_out(client)
            _raise_if_lost(error)
            raise SourceFailed(
                f"{server.shown} does not let {server.user} in: {self._told(error)}"
            ) from error
        except BaseException:
            _log_out(client)
            raise
        self._client = client

    def _open(self) -> _Client:
        server = self._server
        if server.tls == "none":
            return _Client(server.host, server.port, timeout=server.timeout_s)
        context = ssl.create_default_context(cafile=server.ca_file)
        if server.tls == "implicit":
            return _TlsClient(
                server.host, server.port, ssl_context=context, timeout=server.timeout_s
            )
        client = _Client(server.host, server.port, timeout=server.timeout_s)
        try:
            client.starttls(context)
        except BaseException:
            _log_out(client)
            raise
        return client

    def _log_in(self, client: imaplib.IMAP4) -> None:
        server = self._server
        who = server.auth_user or server.user
        if "AUTH=PLAIN" in client.capabilities:
            # RFC 4616: as whom to act, whose password, the password
            acting = server.user if server.auth_user else ""
            response = f"{acting}\0{who}\0{server.password}".encode()
            client.authenticate("PLAIN", lambda _: response)
        elif server.auth_user:
            raise SourceFailed(
                f"{server.shown} has no AUTH=PLAIN, by which an administrator can act for somebody"
            )
        else:
            # imaplib sends str as ASCII and quotes the password itself.
            user = '"{}"'.format(server.user.replace("\\", "\\\\").replace('"', '\\"'))
            try:
                client.login(user, server.password)
            except UnicodeEncodeError as error:
                raise SourceFailed(
                    f"{server.shown} takes no login or password beyond ASCII"
                ) from error
        # What a server can do is often told only to whom it knows.
        _, data = client.capability()
        words = data[-1] if data else b""
        client.capabilities = tuple(words.decode("ascii", "replace").upper().split())

    def begin(self) -> None:
        """The first connection: what is wrong now does not pass by waiting.

        Raises: SourceFailed.
        """
        try:
            self.connect()
        except LOST as error:
            raise SourceFailed(
                f"{self._server.shown} cannot be reached: {self._told(error)}; are host, port and"
                " kind of TLS right?"
            ) from error

    def reconnect(self) -> None:
        """Connect again, patiently, and open the mailbox that was open.

        Raises: SourceFailed (also when the mailbox has got another UIDVALIDITY).
        """
        self.close()
        last: BaseException | None = None
        for pause_s in PAUSES_S:
            self._sleep(pause_s)
            try:
                self.connect()
                self._reopen()
            except LOST as error:
                last = error
                self.close()
            else:
                return
        raise SourceFailed(
            f"{self._server.shown} cannot be reached any more ({self._told(last)}); run the import"
            " again later, and it goes on where it was"
        )

    def _reopen(self) -> None:
        if self._selected is None:
            return
        name, uid_validity = self._selected
        try:
            _, found, _ = self.examine(name)
        except Refused as error:
            raise SourceFailed(f"a folder cannot be opened any more: {error}") from error
        if found != uid_validity:
            raise SourceFailed("a folder was made anew while it was read; run the import again")

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            _log_out(client)

    def patiently(self, ask: Callable[[], T]) -> T:
        """What ``ask`` returns, which opens the mailbox it is about; over several connections.

        Raises: SourceFailed, Refused (also when every connection is lost on it).
        """
        last: BaseException | None = None
        for _ in range(ATTEMPTS):
            try:
                if self._client is None:
                    self.connect()
                return ask()
            except LOST as error:
                last = error
                self._selected = None
                self.reconnect()
        raise Refused(f"the connection is lost each time: {self._told(last)}")

    # -- commands; Raises: Refused, LOST

    def has(self, capability: str) -> bool:
        return capability in self._open_client().capabilities

    def list(self, what: Literal["LIST", "LSUB"]) -> Sequence[Piece | None]:
        client = self._open_client()
        if what == "LSUB":
            return _accepted(client.lsub('""', '"*"'))
        wanted = '"*"'
        if self.has("SPECIAL-USE") and self.has("LIST-EXTENDED"):
            wanted += " RETURN (SPECIAL-USE)"  # RFC 6154 section 3
        return _accepted(client.list('""', wanted))

    def namespace(self) -> Sequence[Piece | None]:
        return _accepted(self._open_client().namespace())

    def examine(self, name: bytes) -> tuple[int, int, int]:
        """How many messages there are, UIDVALIDITY and UIDNEXT (0: not told)."""
        client = self._open_client()
        quoted = b'"%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        # imaplib takes octets as well as text, which must be ASCII.
        data = _accepted(client.select(cast("str", quoted), readonly=True))
        count = _first_number(data)
        uid_validity = _first_number(client.response("UIDVALIDITY")[1])
        uid_next = _first_number(client.response("UIDNEXT")[1])
        self._selected = (name, uid_validity)
        return count, uid_validity, uid_next

    def fetch(self, numbers: str, items: str, *, by_uid: bool) -> Sequence[Piece | None]:
        client = self._open_client()
        if by_uid:
            return _accepted(client.uid("FETCH", numbers, items))
        return _accepted(client.fetch(numbers, items))

    def _open_client(self) -> imaplib.IMAP4:
        if self._client is None:
            raise imaplib.IMAP4.abort("not connected")
        self._client.octets_left = ANSWER_OCTETS
        return self._client

    def _told(self, error: object) -> str:
        """Some servers repeat what they were sent; nobody shall read a password there."""
        server = self._server
        plain = "\0".join((server.user if server.auth_user else "",
                           server.auth_user or server.user, server.password))  # fmt: skip
        text = _text(error)
        for secret in (base64.b64encode(plain.encode()).decode(), server.password):
            text = text.replace(secret, "[password]") if secret else text
        return text


def _accepted(answer: tuple[str, Any]) -> Sequence[Piece | None]:
    kind, data = answer
    if kind != "OK":
        raise Refused(_text(data[-1] if data else kind))
    return cast("Sequence[Piece | None]", data)


def _first_number(data: Sequence[Any]) -> int:
    text = data[-1] if data else None
    return int(text) if isinstance(text, bytes) and text.isdigit() and len(text) < 12 else 0


def _raise_if_lost(error: imaplib.IMAP4.error) -> None:
    if isinstance(error, imaplib.IMAP4.abort):
        raise error


def _log_out(client: imaplib.IMAP4) -> None:
    with suppress(imaplib.IMAP4.error, OSError):
        client.shutdown()


def _text(error: object) -> str:
    if isinstance(error, BaseException) and error.args and isinstance(error.args[-1], bytes):
        error = error.args[-1]
    text = error.decode("utf-8", "replace") if isinstance(error, bytes) else str(error)
    return "".join(one if one.isprintable() else "?" for one in text)[:MAX_TEXT]
