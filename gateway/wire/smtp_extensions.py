"""The EHLO registry: one row per extension, from which everything about it is computed.

A row names its RFC, says when it is shown, and which parameters of MAIL and RCPT and which verbs it
brings. The answer to EHLO and LHLO, the parameters and verbs that are taken, and HELP come from the
rows that are shown and from nothing else, so what is advertised is what is there: a parameter of
another row is 555 5.5.4, a verb 502 5.5.1 or what its row says instead.

A row has no on or off of its own: a door shows those of ``DoorOffer.enabled`` only, which are the
ones it honours to the end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from gateway.wire import smtp_parameters as parameters
from gateway.wire.smtp_commands import Auth, Bdat, Etrn, Simple, Verb, Xclient
from gateway.wire.smtp_parameters import Parameter
from gateway.wire.smtp_replies import (
    LOGGED_IN_ALREADY,
    NOT_IMPLEMENTED,
    SEND_EHLO_FIRST,
    SEND_LHLO_FIRST,
    TLS_ALREADY,
    TLS_FIRST,
    Reply,
)
from gateway.wire.smtp_syntax import PARSERS, Grammar, Parser
from gateway.wire.smtp_xclient import XCLIENT_ATTRIBUTES

DAY_S = 86_400


@dataclass(frozen=True, slots=True, eq=False)
class DoorOffer:
    """What the sessions of one door have in common; made once per door, compared by identity.

    Args:
        hostname: ours.
        size_octets: largest message taken.
        enabled: keywords of the rows that the door honours.
        lmtp: the door speaks LMTP (RFC 2033).
        starttls: TLS can be started here.
        recipients: RCPTs accepted for one message.
        hold_s: longest time a message may wait for its release, 0: none at all.
        no_soliciting: classes of mail that nobody here wants (RFC 3865).
    """

    hostname: str
    size_octets: int
    enabled: frozenset[str]
    lmtp: bool = False
    starttls: bool = False
    recipients: int = 0
    hold_s: int = 0
    no_soliciting: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = self.enabled - {row.keyword for row in EXTENSIONS}
        assert not unknown, f"no such extensions: {', '.join(sorted(unknown))}"


@dataclass(frozen=True, slots=True)
class Offer:
    """What one session has to offer at the moment.

    Args:
        tls: TLS is active.
        mechanisms: SASL mechanisms that may be used now, empty for none.
        logged_in: somebody has logged in.
        proxy: the client may say XCLIENT.
        today: days since 1970, needed where FUTURERELEASE is enabled.
    """

    door: DoorOffer
    tls: bool = False
    mechanisms: tuple[str, ...] = ()
    logged_in: bool = False
    proxy: bool = False
    today: int = 0


def _not_implemented(_: Offer) -> Reply:
    return NOT_IMPLEMENTED


@dataclass(frozen=True, slots=True)
class Extension:
    """One row.

    Args:
        rfc: with the section that says how it is shown.
        shown: what follows the keyword, or None to hide the row.
        mail, rcpt: its parameters. A row further down may widen a parameter of one above.
        verbs: its commands.
        hidden: the answer to its verbs where the door has the row but does not show it now.
        needs: rows without which this one makes no sense.
    """

    keyword: str
    rfc: str
    shown: Callable[[Offer], str | None]
    mail: tuple[Parameter, ...] = ()
    rcpt: tuple[Parameter, ...] = ()
    verbs: tuple[Verb, ...] = ()
    hidden: Callable[[Offer], Reply] = _not_implemented
    needs: frozenset[str] = frozenset()


def _always(_: Offer) -> str:
    return ""


def _starttls(offer: Offer) -> str | None:
    # RFC 3207 section 4.2: not again once TLS is active.
    return "" if offer.door.starttls and not offer.tls else None


def _auth(offer: Offer) -> str | None:
    # RFC 4954 section 4: only where plain text passwords are safe (SECURITY A1).
    return " ".join(offer.mechanisms) or None


def _no_auth(offer: Offer) -> Reply:
    if offer.logged_in:
        return LOGGED_IN_ALREADY  # RFC 4954 section 4
    return NOT_IMPLEMENTED if offer.tls else TLS_FIRST


def _future_release(offer: Offer) -> str | None:
    if not offer.door.hold_s:
        return None
    # The date moves at midnight: a little early, so that what is shown is always granted.
    latest = datetime.fromtimestamp(offer.today * DAY_S, UTC) + timedelta(seconds=offer.door.hold_s)
    return f"{offer.door.hold_s} {latest:%Y-%m-%dT%H:%M:%SZ}"


def _limits(offer: Offer) -> str | None:
    # Transactions and domains have no bound, so MAILMAX and RCPTDOMAINMAX are not shown.
    return f"RCPTMAX={offer.door.recipients}" if offer.door.recipients else None


EXTENSIONS: tuple[Extension, ...] = (
    Extension("PIPELINING", "RFC 2920 section 3", _always),
    Extension(
        "SIZE",
        "RFC 1870 section 4",
        lambda offer: str(offer.door.size_octets),
        mail=(parameters.SIZE,),
    ),
    Extension("8BITMIME", "RFC 6152 section 2", _always, mail=(parameters.BODY,)),
    Extension("ENHANCEDSTATUSCODES", "RFC 2034 section 3", _always),
    Extension(
        "STARTTLS",
        "RFC 3207 section 2",
        _starttls,
        verbs=(Verb.STARTTLS,),
        hidden=lambda offer: TLS_ALREADY if offer.tls else NOT_IMPLEMENTED,
    ),
    Extension(
        "AUTH",
        "RFC 4954 section 3",
        _auth,
        mail=(parameters.AUTH,),
        verbs=(Verb.AUTH,),
        hidden=_no_auth,
    ),
    Extension(
        "SMTPUTF8",
        "RFC 6531 section 3.1",
        _always,
        mail=(parameters.SMTPUTF8,),
        needs=frozenset({"8BITMIME"}),
    ),
    Extension("CHUNKING", "RFC 3030 section 2", _always, verbs=(Verb.BDAT,)),
    Extension(
        "BINARYMIME",
        "RFC 3030 section 3",
        _always,
        mail=(parameters.BODY_BINARY,),
        needs=frozenset({"8BITMIME", "CHUNKING"}),
    ),
    Extension(
        "DSN",
        "RFC 3461 section 4",
        _always,
        mail=(parameters.RET, parameters.ENVID),
        rcpt=(parameters.NOTIFY, parameters.ORCPT),
    ),
    # Any time is taken, so none is shown as the shortest.
    Extension("DELIVERBY", "RFC 2852 section 4", _always, mail=(parameters.BY,)),
    Extension(
        "FUTURERELEASE",
        "RFC 4865 section 3",
        _future_release,
        mail=(parameters.HOLDFOR, parameters.HOLDUNTIL),
    ),
    Extension("MT-PRIORITY", "RFC 6710 section 3", _always, mail=(parameters.PRIORITY,)),
    # Only where the way up to here has been encrypted.
    Extension(
        "REQUIRETLS",
        "RFC 8689 section 2",
        lambda offer: "" if offer.tls else None,
        mail=(parameters.REQUIRETLS,),
    ),
    Extension("LIMITS", "RFC 9422 section 3", _limits),
    Extension("ETRN", "RFC 1985 section 5", _always, verbs=(Verb.ETRN,)),
    Extension(
        "NO-SOLICITING",
        "RFC 3865 section 2.1",
        lambda offer: ",".join(offer.door.no_soliciting),
        mail=(parameters.SOLICIT,),
    ),
    Extension(
        "XCLIENT",
        "Postfix, XCLIENT_README",
        lambda offer: XCLIENT_ATTRIBUTES if offer.proxy else None,
        verbs=(Verb.XCLIENT,),
    ),
)

COMMAND_TYPES: Mapping[Verb, type] = {
    Verb.STARTTLS: Simple,
    Verb.AUTH: Auth,
    Verb.BDAT: Bdat,
    Verb.ETRN: Etrn,
    Verb.XCLIENT: Xclient,
}
"""What the door must be able to answer for a row with this verb."""

_ALWAYS = (
    Verb.MAIL,
    Verb.RCPT,
    Verb.DATA,
    Verb.RSET,
    Verb.NOOP,
    Verb.QUIT,
    Verb.VRFY,
    Verb.HELP,
)
# Commands of RFC 5321 and its forerunners that exist and are not to be had (section 4.2.4).
_NEVER = (b"EXPN", b"TURN", b"SEND", b"SOML", b"SAML")


def refuse_unanswered(enabled: Collection[str], answers: Collection[type]) -> None:
    """For the start: every enabled row with a command needs somebody who answers it.

    Raises:
        LookupError: with the row.
    """
    for row in EXTENSIONS:
        for verb in row.verbs if row.keyword in enabled else ():
            if COMMAND_TYPES[verb] not in answers or verb not in PARSERS:
                raise LookupError(f"{row.keyword} is enabled, but nothing answers {verb.value}")


@dataclass(frozen=True, slots=True, eq=False)
class Offered:
    """All that follows from one Offer.

    Args:
        ehlo: the whole answer to EHLO or LHLO.
        plain: what may be said before it, or after HELO.
        extended: what may be said after it.
        help: the answer to HELP.
    """

    ehlo: bytes
    plain: Grammar
    extended: Grammar
    help: Reply
    lmtp: bool


@lru_cache(maxsize=256)  # a few per door; bounded all the same
def offered(offer: Offer) -> Offered:
    """The answers and grammars of one state of a session."""
    door = offer.door
    hello = (Verb.LHLO,) if door.lmtp else (Verb.EHLO, Verb.HELO)
    lines = [door.hostname]
    shown: list[Extension] = []
    refused = dict.fromkeys(_NEVER, NOT_IMPLEMENTED)
    for row in EXTENSIONS:
        has_row = row.keyword in door.enabled and row.needs <= door.enabled
        text = row.shown(offer) if has_row else None
        if text is not None:
            shown.append(row)
            lines.append(f"{row.keyword} {text}".rstrip())
        else:
            reply = row.hidden(offer) if has_row else NOT_IMPLEMENTED
            refused.update((_word(verb), reply) for verb in row.verbs)
    more = [verb for row in shown for verb in row.verbs]
    first = SEND_LHLO_FIRST if door.lmtp else SEND_EHLO_FIRST
    plain = Grammar(
        _words((*hello, *_ALWAYS)),
        {**refused, **dict.fromkeys(map(_word, more), first)},
        {},
        {},
    )
    extended = Grammar(
        _words((*hello, *_ALWAYS, *more)),
        refused,
        _table(parameter for row in shown for parameter in row.mail),
        _table(parameter for row in shown for parameter in row.rcpt),
    )
    verbs = " ".join(verb.value for verb in (*hello, *_ALWAYS, *more))
    # RFC 5321 section 4.1.1.1; the client's name is never repeated.
    ehlo = b"".join(
        b"250%b%b\r\n" % (b" " if number == len(lines) else b"-", line.encode("ascii"))
        for number, line in enumerate(lines, 1)
    )
    return Offered(ehlo, plain, extended, Reply(214, "2.0.0", f"{verbs}; RFC 5321"), door.lmtp)


def _word(verb: Verb) -> bytes:
    return verb.value.encode("ascii")


def _words(verbs: Iterable[Verb]) -> Mapping[bytes, Parser]:
    return {_word(verb): PARSERS[verb] for verb in verbs}


def _table(rows: Iterable[Parameter]) -> Mapping[bytes, Parameter]:
    return {row.keyword.encode("ascii"): row for row in rows}
