"""What may be asked of a directory at all: the one check of logins and passwords as typed.

Both kinds of directory call it before they do anything else, so that an empty password never
becomes an unauthenticated bind (SECURITY L1) and odd logins never reach a filter (L2, L4).
Never normalises: what passes is used as typed, and people are known by values from their entry.
"""

from __future__ import annotations

from gateway.core.errors import WrongCredentials
from gateway.directory.schema import Schema
from gateway.wire.address import AddressSyntax, parse_mailbox
from gateway.wire.ldap.filters import Filter

MAX_LOGIN_CHARACTERS = 256
MAX_PASSWORD_OCTETS = 1024  # four times what Active Directory takes; bounds the hashing


def check_offer(login: str, password: bytes) -> None:
    """Refuse what cannot be anybody's login and password.

    Raises:
        WrongCredentials: the same error, with the same text, as for a wrong password.
    """
    if not login_is_possible(login) or not password_is_possible(password):
        raise WrongCredentials


def login_is_possible(login: str) -> bool:
    """Printable (no control, format or line separator characters), not padded with blanks."""
    # Empty text is falsy and None would be too (SECURITY L1: use a falsy test).
    return bool(
        login
        and len(login) <= MAX_LOGIN_CHARACTERS
        and login.isprintable()
        and login == login.strip()
    )


def wanted_person(login_or_address: str, schema: Schema) -> Filter | None:
    """Who is called so; None for text that can be neither a login nor an address."""
    if not login_is_possible(login_or_address):
        return None
    try:
        address = parse_mailbox(login_or_address)
    except AddressSyntax:
        return schema.by_login_or_address(login_or_address, None)
    return schema.by_login_or_address(login_or_address, address if address.domain else None)


def password_is_possible(password: bytes) -> bool:
    """Any non-empty UTF-8 without NUL; blanks and control characters belong to the password."""
    if not password or len(password) > MAX_PASSWORD_OCTETS or b"\0" in password:
        return False
    try:
        # RFC 4513 section 5.1.3 has UTF-8; other octets are nobody's password (SECURITY L14).
        password.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
