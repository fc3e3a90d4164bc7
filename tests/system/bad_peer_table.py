"""What other servers do wrong, and what must become of each recipient.

Owns the rows of ``test_next_hops_bad``; each is a domain of its own with one mail host, unless it
says ``second``. In each row ``a`` and ``b`` get one message in one transaction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from tests.support.bad_peer import GOOD_OFFER, Act, Conduct

NAMES = ("a", "b")


class Fate(Enum):
    """What happens to a recipient in the end."""

    ARRIVES = "at the host, once"
    AGAIN = "at the host, once or twice, as only the peer knows whether it has the first one"
    ELSEWHERE = "at the next host, once"
    RETURNS = "to the sender, once, with the peer's words"
    WAITS = "in the queue, with the reason"


@dataclass(frozen=True)
class Row:
    """Args:
    words: in the report, or in the log where it waits.
    fates: of single recipients.
    tls: outbound.destinations.tls; ``login``: through a named host with the right password.
    transactions: more than one message may be made of it.
    """

    name: str
    conduct: Conduct
    fate: Fate = Fate.ARRIVES
    words: str = ""
    fates: Mapping[str, Fate] | None = None
    second: bool = False
    tls: str = ""
    login: bool = False

    @property
    def domain(self) -> str:
        return f"{self.name}.example"

    def fate_of(self, name: str) -> Fate:
        return (self.fates or {}).get(name, self.fate)


def refusals() -> Iterator[Row]:
    """Each stage with each class of refusal: what is temporary comes again, once only."""
    for stage in ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "."):
        mark = "end" if stage == "." else stage.lower()
        yield Row(f"{mark}-421", Conduct({stage: b"421 4.3.2 closing"}, times=1))
        yield Row(f"{mark}-451", Conduct({stage: b"451 4.3.0 not now"}, times=1))
        if stage not in ("greeting", "EHLO"):
            words = f"no {mark} for you"
            conduct = Conduct({stage: f"554 5.7.1 {words}".encode()})
            yield Row(f"{mark}-554", conduct, Fate.RETURNS, words)
    # It speaks of our address or of the host, not of the mail; 521 alone is for good (RFC 7504).
    yield Row("greeting-554", Conduct({"greeting": b"554 go away"}), Fate.WAITS, "go away")
    yield Row("greeting-521", Conduct({"greeting": b"521 no mail"}), Fate.RETURNS, "no mail")
    yield Row("ehlo-550", Conduct({"EHLO": b"550 what?"}))  # RFC 5321 section 3.2: then HELO
    yield Row("ehlo-502", Conduct({"EHLO": b"502 5.5.1 what?"}))
    for code in (b"421 bye", b"451 stay", b"550 never", Act.CLOSE, Act.HANG):
        word = code.name if isinstance(code, Act) else code[:3].decode()
        yield Row(f"quit-{word.lower()}", Conduct({"QUIT": code}))


def silences() -> Iterator[Row]:
    """Each stage where the peer stops talking or does not stop: once, then it behaves."""
    for stage in ("greeting", "EHLO", "MAIL", "RCPT", "DATA", "."):
        mark = "end" if stage == "." else stage.lower()
        for act in (Act.CLOSE, Act.HANG, Act.DRIP, Act.LONG_LINE, Act.MANY_LINES):
            word = act.name.lower().replace("_", "-")
            yield Row(f"{mark}-{word}", Conduct({stage: act}, times=1))
    yield Row("connect-close", Conduct({"connect": Act.CLOSE}, times=1))
    yield Row("body-close", Conduct({"body": Act.CLOSE}, times=1))
    # RFC 1047, SECURITY D5: nobody but the peer knows; a second copy is better than none.
    yield Row("taken-unsaid", Conduct({".": Act.TAKE_AND_CLOSE}, times=1), Fate.AGAIN)


def nonsense() -> Iterator[Row]:
    """Replies that are none."""
    yield Row("greeting-http", Conduct({"greeting": b"HTTP/1.1 400 Bad Request"}, times=1))
    yield Row("mail-junk", Conduct({"MAIL": b"\xff\xfe\x00 junk"}, times=1))
    yield Row("mail-999", Conduct({"MAIL": b"999 what"}, times=1))
    yield Row("end-354", Conduct({".": b"354 more, please"}, times=1))
    yield Row("data-250", Conduct({"DATA": b"250 fine"}, times=1))
    yield Row("mail-mixed", Conduct({"MAIL": b"250-one\r\n451 two"}, times=1))
    yield Row("rcpt-twice", Conduct({"RCPT": b"250 2.1.5 ok\r\n250 2.1.5 ok"}, times=1))


def oddities() -> Iterator[Row]:
    """What is right, though unusual."""
    yield Row("one-octet", Conduct(pieces=1))
    yield Row("seven-octets", Conduct(pieces=7))
    yield Row("no-pipelining", Conduct(offers=("8BITMIME",)))
    yield Row("nothing-offered", Conduct(offers=()))
    yield Row("lies-251", Conduct({"MAIL": b"250 fine"}))
    yield Row("one-each", Conduct(most=1))
    yield Row("one-each-slow", Conduct(most=1, offers=()))
    limits = (*GOOD_OFFER, "LIMITS RCPTMAX=1")
    yield Row("limits", Conduct(most=1, offers=limits))
    yield Row(
        "one-refused",
        Conduct(refuses={"b": b"550 5.1.1 nobody called b"}),
        fates={"b": Fate.RETURNS},
        words="nobody called b",
    )
    yield Row(
        "one-later",
        Conduct(refuses={"b": b"450 4.2.1 b is asleep"}),
        fates={"b": Fate.WAITS},
        words="b is asleep",
    )
    yield Row("too-many-552", Conduct(refuses={"b": b"552 too many"}), fates={"b": Fate.WAITS})


def next_hosts() -> Iterator[Row]:
    """The second mail host takes what the first one cannot take now."""
    for stage, act in (
        ("connect", Act.CLOSE),
        ("greeting", b"421 4.3.2 full"),
        ("greeting", b"554 not here"),
        ("greeting", Act.HANG),
        ("EHLO", Act.CLOSE),
        ("EHLO", b"421 4.3.2 full"),
        ("MAIL", b"421 4.3.2 full"),
    ):
        word = act.name if isinstance(act, Act) else act[:3].decode()
        name = f"next-{stage.lower()}-{word.lower()}"
        yield Row(name, Conduct({stage: act}), Fate.ELSEWHERE, second=True)


def tls(good: tuple[bytes, bytes], other: tuple[bytes, bytes]) -> Iterator[Row]:
    """Args: good, other: certificate and key for the host, and for another name."""
    yield Row("tls-good", Conduct(tls=good))
    yield Row("tls-unproven", Conduct(tls=other))
    yield Row("tls-454", Conduct({"STARTTLS": b"454 4.7.0 not now"}, tls=good))
    yield Row("tls-501", Conduct({"STARTTLS": b"501 5.5.4 never"}, tls=good))
    yield Row("tls-garbage", Conduct({"handshake": b"this is no TLS\r\n"}, tls=good))
    yield Row("tls-421", Conduct({"STARTTLS": b"421 4.7.0 bye"}, times=1, tls=good))
    yield Row("tls-close", Conduct({"STARTTLS": Act.CLOSE}, times=1, tls=good))
    yield Row("tls-hang", Conduct({"STARTTLS": Act.HANG}, times=1, tls=good))
    yield Row("tls-shake-close", Conduct({"handshake": Act.CLOSE}, times=1, tls=good))
    yield Row("tls-shake-hang", Conduct({"handshake": Act.HANG}, times=1, tls=good))
    # SECURITY S18 (CVE-2021-38371): said before TLS, it must not count inside.
    injected = Conduct({"STARTTLS": b"220 go\r\n250-bad\r\n250 AUTH\r\n250 ok"}, tls=good)
    yield Row("tls-injected", injected, Fate.WAITS, "injected")
    demand = "verified"
    yield Row("proof-good", Conduct(tls=good), tls=demand)
    yield Row("proof-other", Conduct(tls=other), Fate.WAITS, "certificate", tls=demand)
    yield Row("proof-none", Conduct(), Fate.WAITS, "TLS", tls=demand)
    stripped = Conduct({"STARTTLS": b"454 4.7.0 no"}, tls=good)
    yield Row("proof-454", stripped, Fate.WAITS, "TLS is required", tls=demand)
    broken = Conduct({"handshake": b"this is no TLS\r\n"}, tls=good)
    yield Row("proof-garbage", broken, Fate.WAITS, "TLS", tls="required")


def logins(good: tuple[bytes, bytes], login: tuple[str, str]) -> Iterator[Row]:
    yield Row("login-good", Conduct(tls=good, login=login), login=True)
    wrong = Conduct(tls=good, login=(login[0], "another one"))
    yield Row("login-wrong", wrong, Fate.WAITS, "535 5.7.8", login=True)
    # What is refused for good is not said again for a while: that would lock the user out.
    once = Conduct({"AUTH": b"535 5.7.8 no"}, times=1, tls=good, login=login)
    yield Row("login-once", once, Fate.WAITS, "535 5.7.8", login=True)
    for code in (b"454 4.7.0 later", b"421 4.7.0 bye"):
        word = code[:3].decode()
        conduct = Conduct({"AUTH": code}, times=1, tls=good, login=login)
        yield Row(f"login-{word}", conduct, login=True)
    for act in (Act.CLOSE, Act.HANG):
        conduct = Conduct({"AUTH": act}, times=1, tls=good, login=login)
        yield Row(f"login-{act.name.lower()}", conduct, login=True)


def rows(
    good: tuple[bytes, bytes], other: tuple[bytes, bytes], login: tuple[str, str]
) -> list[Row]:
    found = [*refusals(), *silences(), *nonsense(), *oddities(), *next_hosts()]
    return [*found, *tls(good, other), *logins(good, login)]
