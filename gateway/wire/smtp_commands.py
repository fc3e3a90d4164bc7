"""What a client of the SMTP doors can say: one typed value per command.

Owns the values and the one exception for lines that are none. Their grammar is in ``smtp_syntax``,
the parameters of MAIL and RCPT are in ``smtp_parameters``, the order in ``smtp_server``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Literal

from gateway.core.address import Address
from gateway.core.envelope import NOTHING_ASKED, BodyKind, RecipientOptions
from gateway.wire.smtp_replies import Reply


class Verb(Enum):
    """Every command that some door carries out."""

    __hash__ = object.__hash__  # Enum's own costs a call for every look-up of TRANSITIONS

    EHLO = "EHLO"
    HELO = "HELO"
    LHLO = "LHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    BDAT = "BDAT"
    RSET = "RSET"
    NOOP = "NOOP"
    QUIT = "QUIT"
    VRFY = "VRFY"
    HELP = "HELP"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    ETRN = "ETRN"
    XCLIENT = "XCLIENT"


class SyntaxRefused(Exception):
    """Not a command. ``foreign``: no mail client says this, so close at once (SECURITY S6, S20)."""

    def __init__(self, reply: Reply, *, foreign: bool = False) -> None:
        super().__init__(reply.text)
        self.reply = reply
        self.foreign = foreign


@dataclass(frozen=True, slots=True)
class Ehlo:
    """EHLO, HELO or LHLO; ``host`` is printable ASCII without blanks, as claimed."""

    verb: Verb
    host: str


@dataclass(frozen=True, slots=True)
class By:
    """BY= (RFC 2852): seconds from now, which may be negative; ``or_return``: mode R, else N."""

    seconds: int
    or_return: bool
    trace: bool = False


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL. ``sender`` None is the null reverse-path, ``size_octets`` 0 means not declared.

    AUTH= (RFC 4954 section 5) is checked for its form and otherwise taken as ``<>``: nobody who
    sends here is trusted to speak for others.

    Args:
        ret, envid: RFC 3461; ``envid`` is decoded from xtext.
        hold_s, hold_until: HOLDFOR in seconds or HOLDUNTIL as Unix time (RFC 4865), at most one.
        priority: MT-PRIORITY (RFC 6710), None if not said.
        solicit: SOLICIT= (RFC 3865 section 2.4), lower case.
    """

    verb: ClassVar[Verb] = Verb.MAIL
    sender: Address | None
    size_octets: int = 0
    body: BodyKind = BodyKind.SEVEN_BIT
    smtputf8: bool = False
    ret: Literal["", "FULL", "HDRS"] = ""
    envid: str = ""
    by: By | None = None
    hold_s: int | None = None
    hold_until: int | None = None
    priority: int | None = None
    require_tls: bool = False
    solicit: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT."""

    verb: ClassVar[Verb] = Verb.RCPT
    recipient: Address
    options: RecipientOptions = NOTHING_ASKED


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH. ``initial`` is the initial response as on the wire, None when there is none."""

    verb: ClassVar[Verb] = Verb.AUTH
    mechanism: str
    initial: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Data:
    """DATA."""

    verb: ClassVar[Verb] = Verb.DATA


@dataclass(frozen=True, slots=True)
class Bdat:
    """BDAT (RFC 3030): so many octets of content follow the line, whatever is answered."""

    verb: ClassVar[Verb] = Verb.BDAT
    size_octets: int
    last: bool


@dataclass(frozen=True, slots=True)
class Etrn:
    """ETRN (RFC 1985): start what is queued for ``node``, a domain in lower case or a literal.

    Args:
        subdomains: for every domain below it too (the ``@`` of section 5.3).
    """

    verb: ClassVar[Verb] = Verb.ETRN
    node: str
    subdomains: bool = False


@dataclass(frozen=True, slots=True)
class Xclient:
    """XCLIENT (Postfix): who the client of a trusted proxy is.

    None: not said, so what is known stays. Empty text and 0: the proxy does not know
    (``[UNAVAILABLE]`` or ``[TEMPUNAVAIL]``), so what is known is forgotten.

    Args:
        name: of the client by reverse DNS.
        address, local_address: IPv4 or IPv6 in their usual text form.
        protocol: ``SMTP`` or ``ESMTP``.
        login: who has logged in at the proxy.
    """

    verb: ClassVar[Verb] = Verb.XCLIENT
    name: str | None = None
    address: str | None = None
    port: int | None = None
    protocol: str | None = None
    hello: str | None = None
    login: str | None = None
    local_address: str | None = None
    local_port: int | None = None


@dataclass(frozen=True, slots=True)
class Simple:
    """Any other command; its argument, if it may have one, does not matter here."""

    verb: Verb


Command = Ehlo | Mail | Rcpt | Auth | Data | Bdat | Etrn | Xclient | Simple
