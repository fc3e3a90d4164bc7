"""A password made here for one program of one person, and its text.

Values, and the one form that such passwords have: five groups of five characters, of which the last
two are made from the others. So the text alone says that a password is one of ours, whoever brings
it, and it never has to be shown to a directory to find that out (SECURITY A8, L22).

The first two characters are kept in clear, so that the one row it can be is found at once; the
other 21 that are drawn are 104 bits. Of other people's passwords with the length and the letters of
ours one in 961 would be taken for one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from hashlib import blake2b

from gateway.core.ids import AccountId
from gateway.core.login_secret import ScramVerifier

PROTOCOLS = ("imap", "pop3", "submission")
"""Where people log in."""

# Without i, l, o, 0 and 1, which are mistaken for each other.
ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"
GROUPS = 5
GROUP_CHARACTERS = 5
HANDLE_CHARACTERS = 2
_CHARACTERS = GROUPS * GROUP_CHARACTERS
_CHECKS = 2
_DRAWN = _CHARACTERS - _CHECKS
_MAX_TYPED_OCTETS = 64

Draw = Callable[[int], int]
"""A number below this one that nobody can guess."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody logs in.

    Args:
        protocol: ``imap``, ``pop3`` or ``submission``.
        peer_ip: textual address of the client.
    """

    protocol: str
    peer_ip: str


@dataclass(frozen=True, slots=True)
class AppPassword:
    """One of them; the password itself is nowhere.

    Args:
        number: never used again, not for anybody.
        handle: what the password begins with; each of a person's has another.
        protocols: where it is good; empty: everywhere.
        networks: from where: addresses, networks and names of the settings; empty: from anywhere.
        made_by: who did it, in words.
        expires_at: Unix time; 0: never.
        used_at: when it was used last, give or take a few minutes; 0: never.
        hash: argon2id, in the PHC string format.
        verifier: all of a person's have the same salt and iterations, as a client that uses SCRAM
            is told them before anybody knows which one it has.
    """

    account_id: AccountId
    number: int
    handle: str
    label: str
    protocols: tuple[str, ...]
    networks: tuple[str, ...]
    made_by: str
    made_at: int
    expires_at: int
    hash: str = field(repr=False)
    verifier: ScramVerifier = field(repr=False)
    used_at: int = 0
    used_from: str = ""
    used_protocol: str = ""

    def has_expired(self, now: float) -> bool:
        return bool(self.expires_at) and now >= self.expires_at


def new_text(draw: Draw) -> str:
    """A new password, as it is shown once."""
    return _grouped(_with_checks("".join(ALPHABET[draw(len(ALPHABET))] for _ in range(_DRAWN))))


def text_in(password: bytes) -> str | None:
    """The text that this password is if it is one of ours, right or wrong; None: it cannot be.

    As people type it: with hyphens, with blanks or without, in capitals too.
    """
    if len(password) > _MAX_TYPED_OCTETS:
        return None
    try:
        letters = password.decode("ascii").lower().replace("-", "").replace(" ", "")
    except UnicodeDecodeError:
        return None
    if len(letters) != _CHARACTERS or not set(letters) <= _LETTERS:
        return None
    return _grouped(letters) if letters == _with_checks(letters[:_DRAWN]) else None


def handle_of(text: str) -> str:
    return text[:HANDLE_CHARACTERS]


def new_text_beside(handles: Collection[str], draw: Draw) -> str:
    """A new password that none of these handles belongs to."""
    while handle_of(text := new_text(draw)) in handles:
        pass
    return text


_LETTERS = frozenset(ALPHABET)


def _with_checks(drawn: str) -> str:
    # Not a secret: it only tells our passwords from others, and from those with a slip in them.
    digest = blake2b(drawn.encode("ascii"), digest_size=8, person=b"app password").digest()
    number = int.from_bytes(digest, "big")
    size = len(ALPHABET)
    return drawn + ALPHABET[number % size] + ALPHABET[number // size % size]


def _grouped(letters: str) -> str:
    starts = range(0, _CHARACTERS, GROUP_CHARACTERS)
    return "-".join(letters[start : start + GROUP_CHARACTERS] for start in starts)
