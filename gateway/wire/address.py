"""Mail addresses from the wire and from configuration, by the grammar of RFC 5321 section 4.1.2.

Owns the grammar and nothing else: whether a domain is ours or a person exists is asked elsewhere.
An address is parsed exactly or refused, never repaired (SECURITY S29); what the error says never
repeats the client's octets.

Limits: local part 64 octets (RFC 5321 section 4.5.3.1.1), whole address 254 octets, as a path is at
most 256 with its angle brackets (section 4.5.3.1.3). Every pattern is linear.

Deliberately lenient: a source route is read and dropped (section 4.1.2, appendix C), underscores
are allowed inside a domain's labels because such senders exist. Deliberately strict: a last label
of digits only is no domain (RFC 3696 section 2), so ``a@127.0.0.1`` and ``a@2130706433`` are
refused; so are General-address-literals, for which no tag but IPv6 is registered.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata

import idna

from gateway.core.address import Address

MAX_LOCAL_PART_OCTETS = 64
MAX_ADDRESS_OCTETS = 254

# Dot-string = Atom *("." Atom); atext: RFC 5322 section 3.2.3, beyond ASCII: RFC 6531 section 3.3.
_ATEXT = rb"[A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]"
_DOT_STRING = _ATEXT + rb"++(?:\." + _ATEXT + rb"++)*+"
# Quoted-string = DQUOTE *QcontentSMTP DQUOTE: printable ASCII, quotes and backslashes as pairs.
_QUOTED_STRING = rb'"(?:[ !#-\[\]-~\x80-\xff]|\\[ -~])*+"'
# sub-domain = Let-dig [Ldh-str], at most 63 octets (RFC 1035 section 2.3.4).
_LABEL = rb"[A-Za-z0-9\x80-\xff](?:[A-Za-z0-9_\x80-\xff-]{0,251}[A-Za-z0-9\x80-\xff])?"
_DOMAIN = _LABEL + rb"(?:\." + _LABEL + rb")*"
_LITERAL = rb"\[(?:[0-9.]{7,15}|[Ii][Pp][Vv]6:[0-9A-Fa-f:.]{2,45})\]"
# A-d-l = At-domain *( "," At-domain ), followed by ":" (the source route).
_AT_DOMAIN = rb"@(?:" + _DOMAIN + rb"|" + _LITERAL + rb")"
_ROUTE = rb"(?:" + _AT_DOMAIN + rb"(?:," + _AT_DOMAIN + rb")*:)?"

_LOCAL_PART = rb"(" + _DOT_STRING + rb"|" + _QUOTED_STRING + rb")"
_MAILBOX = re.compile(_LOCAL_PART + rb"@(" + _DOMAIN + rb"|" + _LITERAL + rb")\Z")
_PATH = re.compile(rb"<" + _ROUTE + _LOCAL_PART + rb"@(" + _DOMAIN + rb"|" + _LITERAL + rb")>")
_NODE = re.compile(_DOMAIN + rb"|" + _LITERAL)
_POSTMASTER = re.compile(rb"<postmaster>", re.IGNORECASE)
_QUOTED_PAIR = re.compile(r"\\(.)")
# The control characters of ISO 6429's upper half, once UTF-8 is decoded.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class AddressSyntax(ValueError):
    """Not an address. The text is fixed, so it is safe for strangers and logs.

    Args:
        text: what is wrong.
        needs_utf8: the only trouble found is octets that need SMTPUTF8 (RFC 6531).
    """

    def __init__(self, text: str, *, needs_utf8: bool = False) -> None:
        super().__init__(text)
        self.needs_utf8 = needs_utf8


def parse_path(
    text: bytes, *, allow_null: bool, utf8: bool = False
) -> tuple[Address | None, bytes]:
    """The path at the start of ``text`` and the octets behind its ``>``.

    Args:
        text: starts with ``<``.
        allow_null: a reverse-path, where ``<>`` is None. Only a forward-path may be the bare
            ``<postmaster>`` (RFC 5321 section 4.1.1.3), which has an empty domain.
        utf8: SMTPUTF8 was declared for the transaction.

    Raises:
        AddressSyntax: with the reason.
    """
    match = _PATH.match(text)
    if match is not None:
        local_part, domain = match.groups()
        return _address(local_part, domain, utf8), text[match.end() :]
    if allow_null:
        if text.startswith(b"<>"):
            return None, text[2:]
    elif _POSTMASTER.match(text):
        return Address("postmaster", ""), text[12:]
    if not text.startswith(b"<"):
        raise AddressSyntax("the address must stand in angle brackets")
    raise AddressSyntax("malformed address")


def parse_mailbox(text: str) -> Address:
    """One address without angle brackets, as configuration and directories write it.

    Text outside ASCII is taken: a domain becomes its A-label form, a local part NFC.

    Raises:
        AddressSyntax: with the reason.
    """
    try:
        octets = text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        raise AddressSyntax("malformed address") from None
    match = _MAILBOX.match(octets)
    if match is None:
        raise AddressSyntax("malformed address")
    return _address(match[1], match[2], utf8=True)


def parse_domain(text: bytes) -> str:
    """A domain or an address literal that stands alone, in lower case.

    Raises:
        AddressSyntax: with the reason.
    """
    if len(text) > MAX_ADDRESS_OCTETS or not text.isascii() or not _NODE.fullmatch(text):
        raise AddressSyntax("malformed domain name")
    return _checked_domain(text.decode("ascii").lower())


def _address(local_part: bytes, domain: bytes, utf8: bool) -> Address:
    if len(local_part) > MAX_LOCAL_PART_OCTETS:
        raise AddressSyntax("the part before the @ is too long")
    if len(local_part) + 1 + len(domain) > MAX_ADDRESS_OCTETS:
        raise AddressSyntax("the address is too long")
    if local_part.isascii() and domain.isascii():
        local = local_part.decode("ascii")
        return Address(_unquoted(local), _checked_domain(domain.decode("ascii").lower()))
    if not utf8:
        raise AddressSyntax("addresses outside ASCII need SMTPUTF8", needs_utf8=True)
    try:
        local, name = local_part.decode(), domain.decode()
    except UnicodeDecodeError:
        raise AddressSyntax("the address is not valid UTF-8") from None
    # RFC 6531 section 3.1 item 4 with RFC 6532 section 3.1: NFC; a letter that only NFKC would
    # fold into another could be made to look like somebody else (SECURITY S31).
    local = unicodedata.normalize("NFC", local)
    if unicodedata.normalize("NFKC", local) != local or _CONTROLS.search(local):
        raise AddressSyntax("characters that are not possible before the @")
    return Address(_unquoted(local), _checked_domain(_a_label_form(name)))


def _unquoted(local: str) -> str:
    if local[0] != '"':
        return local
    return _QUOTED_PAIR.sub(r"\1", local[1:-1])


def _a_label_form(name: str) -> str:
    try:
        return idna.encode(name, uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        raise AddressSyntax("malformed domain name") from None


def _checked_domain(domain: str) -> str:
    """Checks what the pattern cannot: lengths, digits at the end, the numbers of a literal."""
    if domain[0] == "[":
        try:
            if domain[1] == "i":
                ipaddress.IPv6Address(domain[6:-1])
            else:
                ipaddress.IPv4Address(domain[1:-1])
        except ValueError:
            raise AddressSyntax("malformed address literal") from None
        return domain
    labels = domain.split(".")
    if labels[-1].isdigit():
        raise AddressSyntax("a domain name cannot end in a number")
    for label in labels:
        if len(label) > 63:
            raise AddressSyntax("a part of the domain name is too long")
    return domain
