"""What checks may look at: the client, the envelope so far, and in the end the whole message.

Owns nothing: the door fills these in as a session goes on. Checks read them only, but for
``Client.host_name``, which the check of reverse DNS fills in for those behind it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.envelope import NO_OPTIONS, NOTHING_ASKED, MessageOptions, RecipientOptions
from gateway.core.route import Route


@dataclass(slots=True)
class Client:
    """The other end of a connection.

    Args:
        connection_id: as in replies, log and trace.
        listener: its name in the settings.
        protocol: ``smtp``, ``submission`` or ``lmtp``.
        peer_ip: who is connected; behind a proxy in a named network, who is connected there.
        hello: as claimed in EHLO; empty before.
        host_name: what its address resolves to and back, once a check has found out.
        account: the person who has logged in.
        tls: version and cipher in words; empty without TLS.
        refusals: so many have been recorded.
        rehearsal: nothing is learnt, counted or kept: somebody asks what would happen.
    """

    connection_id: str
    listener: str
    protocol: str
    peer_ip: str
    hello: str = ""
    host_name: str = ""
    is_tls: bool = False
    account: Account | None = None
    may_relay: bool = False
    tls: str = ""
    refusals: int = 0
    rehearsal: bool = False


@dataclass(frozen=True, slots=True)
class Recipient:
    """One RCPT and where it leads."""

    address: Address
    route: Route
    options: RecipientOptions = NOTHING_ASKED


@dataclass(slots=True)
class Envelope:
    """One transaction; ``recipients`` are those accepted so far."""

    sender: Address | None
    options: MessageOptions = NO_OPTIONS
    announced_octets: int = 0
    recipients: list[Recipient] = field(default_factory=list)


class Content(Protocol):
    """The message as it would be stored, without our trace fields."""

    @property
    def size_octets(self) -> int: ...

    async def read(self, offset: int, length: int) -> bytes:
        """Octets of it; fewer at the end. At most 256 KiB are asked for at a time.

        Raises: StoreUnavailable.
        """
        ...


@dataclass(slots=True)
class Facts:
    """Everything at one stage: ``envelope`` from SENDER on, ``recipient`` at RECIPIENT (the one
    in question, not yet in the envelope), ``content`` at CONTENT."""

    client: Client
    envelope: Envelope | None = None
    recipient: Recipient | None = None
    content: Content | None = None
