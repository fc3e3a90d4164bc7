"""SMTP command lines to typed commands: the grammar of RFC 5321 section 4.1 and of the extensions.

Owns the syntax of verbs. Never knows the session's state, except for the Grammar in force and
whether the transaction is one of SMTPUTF8, and never answers: a line that is no command raises
SyntaxRefused with the reply that fits. Parameters are in ``smtp_parameters``.

Deliberately lenient: blanks behind a command (section 4.1.1 asks for it) and between the colon and
the path; any printable host name in EHLO and HELO, as section 4.1.4 forbids to refuse mail for it.
Deliberately strict: a line with CR, LF or NUL inside is no command at all (SECURITY S6), and an
argument where none belongs is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from gateway.core.address import Address
from gateway.core.envelope import RecipientOptions
from gateway.wire.address import AddressSyntax, parse_domain, parse_path
from gateway.wire.foreign import HTTP_VERBS, is_binary
from gateway.wire.smtp_commands import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Etrn,
    Mail,
    Rcpt,
    Simple,
    SyntaxRefused,
    Verb,
)
from gateway.wire.smtp_parameters import Parameter, read_parameters
from gateway.wire.smtp_replies import (
    BAD_ARGUMENTS,
    BAD_BDAT,
    BAD_ETRN,
    BAD_HELO,
    BAD_MAIL,
    BAD_OCTETS,
    BAD_RCPT,
    DECLARE_SMTPUTF8,
    NEEDS_SMTPUTF8,
    NOT_SMTP,
    UNKNOWN_COMMAND,
    Reply,
    bad_recipient,
    bad_sender,
)
from gateway.wire.smtp_xclient import parse_xclient


@dataclass(frozen=True, slots=True, eq=False)
class Grammar:
    """What a session may say at the moment. One object per state of a door, compared by identity:
    it is half of the key under which parsed lines are kept.

    Args:
        words: the verbs in force; whatever is in neither table is no command.
        refused: verbs that are known, but not to be had now.
        mail, rcpt: the parameters in force.
    """

    words: Mapping[bytes, Parser]
    refused: Mapping[bytes, Reply]
    mail: Mapping[bytes, Parameter]
    rcpt: Mapping[bytes, Parameter]


Parser = Callable[[bytes, Grammar, bool], Command]
"""From what follows the verb, the grammar, and whether the transaction is one of SMTPUTF8."""

_REPEATED = 1024  # the same few people write and are written to; at most 4 MiB of lines

_FORBIDDEN_OCTETS = re.compile(rb"[\r\n\0]")
_HOST = re.compile(rb"[!-~\x80-\xff]{1,255}\Z")
# sasl-mech = 1*20mech-char (RFC 4422 section 3.1).
_AUTH = re.compile(rb"([A-Za-z0-9_-]{1,20})(?: +([^ ]++))?\Z")
# bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] (RFC 3030 section 2).
_BDAT = re.compile(rb"([0-9]{1,19})( +LAST)?\Z", re.IGNORECASE)
_BEHIND_PATH = "unexpected characters behind the address"
# The first words of protocols that browsers can be made to speak to a mail port (SECURITY S20).
_FOREIGN_WORDS = HTTP_VERBS | {b"HOST:", b"USER-AGENT:"}


def parse_command(line: bytes, grammar: Grammar, *, utf8: bool = False) -> Command:
    """One command line.

    Args:
        line: without its CRLF, length checked already.
        grammar: what is in force.
        utf8: MAIL has declared SMTPUTF8.

    Raises:
        SyntaxRefused: with the reply.
    """
    if _FORBIDDEN_OCTETS.search(line):
        raise SyntaxRefused(BAD_OCTETS, foreign=True)
    word, _, rest = line.rstrip(b" \t").partition(b" ")
    parser = grammar.words.get(word) or grammar.words.get(word.upper())
    if parser is None:
        raise _no_command(word.upper(), grammar)
    return parser(rest, grammar, utf8)


def _no_command(word: bytes, grammar: Grammar) -> SyntaxRefused:
    refusal = grammar.refused.get(word)
    if refusal is not None:
        return SyntaxRefused(refusal)
    foreign = word in _FOREIGN_WORDS or is_binary(word)
    return SyntaxRefused(NOT_SMTP if foreign else UNKNOWN_COMMAND, foreign=foreign)


@lru_cache(maxsize=_REPEATED)
def _parse_mail(rest: bytes, grammar: Grammar, _: bool) -> Command:
    if rest[:5] != b"FROM:" and rest[:5].upper() != b"FROM:":
        raise SyntaxRefused(BAD_MAIL)
    text = rest[5:].lstrip(b" ")
    # What allows the address comes behind it (RFC 6531 section 3.4).
    utf8 = b"SMTPUTF8" in grammar.mail and b" SMTPUTF8" in text.upper()
    sender, text = _path(text, grammar, bad_sender, allow_null=True, utf8=utf8)
    if not text:
        declared = Mail(sender)
    else:
        complaint = bad_sender(_BEHIND_PATH)
        declared = Mail(sender, **read_parameters(text, grammar.mail, complaint, utf8=False))
    if utf8 and not declared.smtputf8 and not rest.isascii():
        raise SyntaxRefused(DECLARE_SMTPUTF8)  # the word stood inside the address
    return declared


@lru_cache(maxsize=_REPEATED)
def _parse_rcpt(rest: bytes, grammar: Grammar, utf8: bool) -> Command:
    if rest[:3] != b"TO:" and rest[:3].upper() != b"TO:":
        raise SyntaxRefused(BAD_RCPT)
    text = rest[3:].lstrip(b" ")
    recipient, text = _path(text, grammar, bad_recipient, allow_null=False, utf8=utf8)
    assert recipient is not None
    if not text:
        return Rcpt(recipient)
    fields = read_parameters(text, grammar.rcpt, bad_recipient(_BEHIND_PATH), utf8=utf8)
    return Rcpt(recipient, RecipientOptions(**fields))


def _path(
    text: bytes,
    grammar: Grammar,
    complaint: Callable[[str], Reply],
    *,
    allow_null: bool,
    utf8: bool,
) -> tuple[Address | None, bytes]:
    try:
        return parse_path(text, allow_null=allow_null, utf8=utf8)
    except AddressSyntax as error:
        if not error.needs_utf8:
            reply = complaint(str(error))
        elif b"SMTPUTF8" in grammar.mail:
            reply = DECLARE_SMTPUTF8
        else:
            reply = NEEDS_SMTPUTF8
        raise SyntaxRefused(reply) from None


def _hello(verb: Verb) -> Parser:
    def parse(rest: bytes, grammar: Grammar, utf8: bool) -> Command:
        host = rest.lstrip(b" ")
        if not _HOST.match(host):
            raise SyntaxRefused(BAD_HELO)
        return Ehlo(verb, host.decode("ascii", "replace").replace("\ufffd", "?"))

    return parse


def _parse_auth(rest: bytes, grammar: Grammar, utf8: bool) -> Command:
    match = _AUTH.match(rest)
    if match is None:
        raise SyntaxRefused(BAD_ARGUMENTS)
    return Auth(match[1].decode("ascii"), match[2])


def parse_bdat(rest: bytes) -> Bdat:
    """The argument of BDAT; what it says is needed even where BDAT is refused. Raises:
    SyntaxRefused."""
    match = _BDAT.match(rest)
    if match is None:
        raise SyntaxRefused(BAD_BDAT)
    return Bdat(int(match[1]), last=match[2] is not None)


def _bdat(rest: bytes, grammar: Grammar, utf8: bool) -> Command:
    return parse_bdat(rest)


def _etrn(rest: bytes, grammar: Grammar, utf8: bool) -> Command:
    # Queue names ("#name" in RFC 1985 section 5.3) do not exist here.
    subdomains = rest[:1] == b"@"
    try:
        return Etrn(parse_domain(rest[1:] if subdomains else rest), subdomains)
    except AddressSyntax:
        raise SyntaxRefused(BAD_ETRN) from None


def _xclient(rest: bytes, grammar: Grammar, utf8: bool) -> Command:
    return parse_xclient(rest)


def _bare(command: Command) -> Parser:
    """A command without argument."""

    def parse(rest: bytes, grammar: Grammar, utf8: bool) -> Command:
        if rest:
            raise SyntaxRefused(BAD_ARGUMENTS)
        return command

    return parse


def _with_text(verb: Verb, *, required: bool) -> Parser:
    """A command whose argument is text that is not looked at."""
    command = Simple(verb)

    def parse(rest: bytes, grammar: Grammar, utf8: bool) -> Command:
        if required and not rest:
            raise SyntaxRefused(BAD_ARGUMENTS)
        return command

    return parse


PARSERS: Mapping[Verb, Parser] = {
    Verb.EHLO: _hello(Verb.EHLO),
    Verb.HELO: _hello(Verb.HELO),
    Verb.LHLO: _hello(Verb.LHLO),
    Verb.MAIL: _parse_mail,
    Verb.RCPT: _parse_rcpt,
    Verb.DATA: _bare(Data()),
    Verb.BDAT: _bdat,
    Verb.RSET: _bare(Simple(Verb.RSET)),
    Verb.NOOP: _with_text(Verb.NOOP, required=False),
    Verb.QUIT: _bare(Simple(Verb.QUIT)),
    Verb.VRFY: _with_text(Verb.VRFY, required=True),
    Verb.HELP: _with_text(Verb.HELP, required=False),
    Verb.STARTTLS: _bare(Simple(Verb.STARTTLS)),
    Verb.AUTH: _parse_auth,
    Verb.ETRN: _etrn,
    Verb.XCLIENT: _xclient,
}
"""One row per verb; a test holds it against Verb, the extensions and the transition table."""
