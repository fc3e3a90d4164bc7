"""What an attempt needs to know of the servers it may use, best first: values, and who finds them.

Owns no decision: ``routes`` finds targets, the TLS policies say what each must prove, and
``connections`` obeys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal, Protocol

from gateway.core.queue import QueueItem, Verdict
from gateway.wire.smtp_client_envelope import Login


class NoRoute(Exception):
    """No host to try; how that ends for the recipients. Stays inside ``delivery``.

    Args:
        unreachable: it says something of the destination as a whole (DNS does not answer), so that
            no other message for it would fare better now.
    """

    def __init__(
        self, verdict: Verdict, status: str, text: str, *, unreachable: bool = False
    ) -> None:
        self.verdict = verdict
        self.status = status
        self.text = text
        self.unreachable = unreachable
        super().__init__(text)


class Protection(Enum):
    """What is asked of TLS, the weakest first."""

    NONE = "none"
    OPPORTUNISTIC = "opportunistic"  # RFC 7435: taken when offered, unproven; else clear text
    REQUIRED = "required"  # encrypted, whoever it is
    VERIFIED = "verified"  # and the certificate proves the name, by the authorities
    DANE = "dane"  # and it is the one that DNSSEC names (RFC 7672)


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A usable TLSA record (RFC 6698 section 2.1)."""

    usage: int
    selector: int
    matching: int
    data: bytes


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What one host must prove.

    Args:
        names: for which the certificate may be; empty: the host's own. With DANE the first is the
            TLSA base domain, which the server hears (SNI).
        tlsa: with DANE; empty there: encrypted is enough, as no record was usable.
        policy: by which policy, for reports (RFC 8460): empty for none, else ``sts`` or ``tlsa``.
        domain: whose policy it is, or would be; empty: what comes of it is not counted.
        testing: a failure is reported, and the mail goes all the same (RFC 8461 section 5).
    """

    protection: Protection = Protection.OPPORTUNISTIC
    names: tuple[str, ...] = ()
    tlsa: tuple[Tlsa, ...] = ()
    policy: Literal["", "sts", "tlsa"] = ""
    # Connections serve every domain whose hosts must prove the same.
    domain: str = field(default="", compare=False)
    testing: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """One address to connect to.

    Args:
        host: name, or the address where there is no name; lower case.
        preference: equal ones may be used in any order.
        protocol: LMTP answers for each recipient after the data (RFC 2033).
        named: by the configuration, so that our own name is no loop.
        socket: path of a Unix socket, in place of address and port; by the configuration alone.
    """

    host: str
    ip: str
    port: int = 25
    preference: int = 0
    protocol: Literal["smtp", "lmtp"] = "smtp"
    implicit_tls: bool = False
    login: Login | None = None
    demand: TlsDemand = TlsDemand()
    named: bool = False
    socket: str = ""

    def __str__(self) -> str:
        if self.socket:
            return f"{self.host}[{self.socket}]"
        return f"{self.host}[{self.ip}]:{self.port}"


@dataclass(frozen=True, slots=True)
class MailHost:
    """A host that takes a domain's mail, by its MX record or as the domain itself.

    Args:
        secure: its addresses are proven by DNSSEC.
    """

    preference: int
    name: str
    secure: bool = False


@dataclass(frozen=True, slots=True)
class TlsResult:
    """What became of TLS on one connection.

    Args:
        protocol: such as ``TLSv1.3``; empty: clear text.
        proven: whatever the demand asks to be proven was proven.
        failure: a result type of RFC 8460 section 4.3, empty for none; with a ``testing`` demand
            also where the mail went on.
        reason: the failure in words, printable.
        sending_ip: our own address on the connection, where there was a failure.
    """

    protocol: str = ""
    cipher: str = ""
    proven: bool = False
    failure: str = ""
    reason: str = ""
    sending_ip: str = ""


class TlsWitness(Protocol):
    """Hears of every connection that was to speak TLS, once, when that is decided."""

    def note(self, target: Target, result: TlsResult) -> None: ...


class Routes(Protocol):
    """Finds targets."""

    async def targets(self, item: QueueItem) -> Sequence[Target]:
        """Where the item may be delivered, best first; equals shuffled. Raises: NoRoute."""
        ...


class TlsPolicies(Protocol):
    """Knows what domains demand of connections to their hosts."""

    async def demands(
        self, domain: str, hosts: Sequence[MailHost], *, secure: bool, require_tls: bool
    ) -> Sequence[tuple[MailHost, TlsDemand]]:
        """Those of the hosts that may be used, and what each must prove.

        Args:
            secure: the MX records are proven by DNSSEC.
            require_tls: the sender wants proof (RFC 8689), so a host that only an unproven MX
                record names is none.

        Raises:
            NoRoute: none may be used, or nobody can say now.
        """
        ...
