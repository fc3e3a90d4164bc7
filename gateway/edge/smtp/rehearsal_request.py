"""What ``gateway explain`` is asked: who would send what to whom, from where.

Owns the form in which the command, the control socket and the processes hand it on, and its bounds.

Limits: MAX_RECIPIENTS, MAX_CONTENT octets of message.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from gateway.core.errors import GatewayError
from gateway.core.hosts import parse_ip

MAX_RECIPIENTS = 100
MAX_CONTENT = 512 * 1024
SOMEWHERE = "192.0.2.1"
"""An address of nobody (RFC 5737)."""


class RehearsalRefused(GatewayError):
    """What was asked cannot be rehearsed; the text says why."""

    temporary = False


@dataclass(frozen=True, slots=True)
class Request:
    """What would be sent.

    Args:
        sender: empty for the null sender.
        hello: empty: the address literal of ``ip``.
        login: taken as given; empty: nobody logs in.
        size_octets: as MAIL announces it; 0: not announced.
        listener: its name in the settings; empty: the first one that fits.
        content: the message; None: a small one is made up.
    """

    sender: str
    recipients: tuple[str, ...]
    ip: str = SOMEWHERE
    hello: str = ""
    login: str = ""
    size_octets: int = 0
    tls: bool = False
    listener: str = ""
    content: bytes | None = None

    @classmethod
    def from_json(cls, body: object) -> Request:
        """What ``to_json`` made, or somebody else. Raises: RehearsalRefused."""
        if not isinstance(body, dict):
            raise RehearsalRefused("expected an object")
        known = {name: body[name] for name in cls.__dataclass_fields__ if name in body}
        unknown = body.keys() - known.keys()
        recipients, content = known.get("recipients"), known.get("content")
        sizes = known.get("size_octets", 0)
        texts = [value for name, value in known.items() if name in _TEXTS]
        if (
            unknown
            or "sender" not in known
            or not isinstance(recipients, list)
            or not 0 < len(recipients) <= MAX_RECIPIENTS
            or not all(isinstance(one, str) for one in (*recipients, *texts))
            or not isinstance(known.get("tls", False), bool)
            or isinstance(sizes, bool)
            or not isinstance(sizes, int)
            or not isinstance(content, str | None)
        ):
            raise RehearsalRefused(
                'expected {"sender": text, "recipients": [text, ...]} with at most'
                f" {MAX_RECIPIENTS} recipients, and perhaps ip, hello, login, listener (texts),"
                " size_octets (a number), tls (true or false), content (base64)"
            )
        ip = parse_ip(known.get("ip", SOMEWHERE))
        if ip is None:
            raise RehearsalRefused(f"found {known['ip']!r}; expected an IP address")
        known["ip"] = str(ip)
        known["recipients"] = tuple(recipients)
        if content is not None:
            known["content"] = _octets(content)
        request = cls(**known)
        for text in (request.sender, *request.recipients, request.hello, request.login):
            if any(one < " " or one == "\x7f" for one in text):
                raise RehearsalRefused("found a control character; expected plain text")
        return request

    def to_json(self) -> dict[str, object]:
        content = None if self.content is None else base64.b64encode(self.content).decode("ascii")
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return fields | {"recipients": list(self.recipients), "content": content}


_TEXTS = ("sender", "ip", "hello", "login", "listener")


def _octets(content: str) -> bytes:
    try:
        octets = base64.b64decode(content, validate=True)
    except (binascii.Error, ValueError):
        raise RehearsalRefused("found content that is no base64") from None
    if len(octets) > MAX_CONTENT:
        raise RehearsalRefused(
            f"found a message of {len(octets)} octets; expected {MAX_CONTENT} at most"
        )
    return octets
