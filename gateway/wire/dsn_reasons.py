"""What enhanced status codes (RFC 3463 and its registry) mean to people, and what they can do.

Owns the table of sentences. A sentence names nobody but by ``{address}`` and ``{domain}``, which
come in reduced to one printable line already. A code that is not in the table, or says nothing
(X.0.0), is explained by its subject, then by the reply's own number.
"""

from __future__ import annotations

import re
from typing import NamedTuple


class Reason(NamedTuple):
    """Args:
    what: has happened; true of a failure and of a delay.
    advice: for the sender of what failed; empty where there is none.
    """

    what: str
    advice: str = ""


_CHECK = (
    "Check how the address is written. If it is right, ask the person by another way"
    " whether it has changed."
)
_OTHER_WAY = "Tell the person by another way, and send the message again later."
_SMALLER = "Send less at once, or share large files by a link."
_ASK_ADMINISTRATOR = "Show this report to your administrator."
_ASK_THEIRS = (
    "If you think that this is wrong, ask the person by another way to tell their administrator."
)
_AGAIN = "Send the message again later."

_REASONS: dict[str, Reason] = {
    # addresses
    "1.1": Reason("There is no mailbox with this address at {domain}.", _CHECK),
    "1.2": Reason("The domain {domain} does not exist, or takes no mail.", _CHECK),
    "1.3": Reason("This is not an address as the other server knows them.", _CHECK),
    "1.4": Reason("This address may mean more than one mailbox at {domain}.", _CHECK),
    "1.6": Reason("The mailbox has moved, and nobody there knows where to.", _CHECK),
    "1.7": Reason("The other server does not take your own address.", _ASK_ADMINISTRATOR),
    "1.8": Reason("The other server does not find your own domain.", _ASK_ADMINISTRATOR),
    "1.10": Reason("The domain {domain} takes no mail at all.", _CHECK),
    # mailboxes
    "2.1": Reason("The mailbox is closed, and takes no mail.", _CHECK),
    "2.2": Reason("The mailbox is full.", _OTHER_WAY),
    "2.3": Reason("The message is larger than this mailbox takes.", _SMALLER),
    "2.4": Reason("The mailing list could not pass the message on.", _AGAIN),
    # the system behind the address
    "3.1": Reason("The other server has no room for more mail.", _AGAIN),
    "3.2": Reason("The other server takes no mail at the moment.", _AGAIN),
    "3.4": Reason("The message is larger than the other server takes.", _SMALLER),
    "3.6": Reason("The other server has changed the message's priority."),
    # the network and the way
    "4.1": Reason("No mail server of {domain} answers.", _AGAIN),
    "4.2": Reason("The connection to the other server broke.", _AGAIN),
    "4.3": Reason("It could not be found out where mail for {domain} goes.", _AGAIN),
    "4.4": Reason("No way to the mail server of {domain} was found.", _CHECK),
    "4.5": Reason("The other server has too much to do.", _AGAIN),
    "4.6": Reason(
        "The message went in a circle between servers, so it was stopped.", _ASK_ADMINISTRATOR
    ),
    "4.7": Reason("It took too long.", _AGAIN),
    # protocol
    "5.3": Reason("The message has more recipients than the other server takes at once.", _AGAIN),
    "5.6": Reason("The message is larger than the other server takes.", _SMALLER),
    # content
    "6.1": Reason(
        "The other server does not take content of this kind (8-bit text).",
        "Send the message again as plain text, or with its text in an attached file.",
    ),
    "6.3": Reason(
        "The message would have to be converted for the other server, which is not possible here.",
        "Send the message again as plain text.",
    ),
    "6.7": Reason(
        "The address has letters beyond plain English ones, which the other server cannot handle.",
        "Ask the person for an address in plain letters.",
    ),
    "6.9": Reason(
        "The message's header has letters beyond plain English ones, which the other server cannot"
        " handle.",
        "Send the message again with addresses in plain letters only.",
    ),
    # security and policy
    "7.1": Reason("The other server does not want to take this message.", _ASK_THEIRS),
    "7.2": Reason("You may not send to this mailing list.", "Ask its owner whether you may."),
    "7.8": Reason("The next server did not accept our login.", _ASK_ADMINISTRATOR),
    "7.10": Reason("The message may go only by an encrypted connection.", _ASK_ADMINISTRATOR),
    "7.13": Reason("The person's account is disabled.", _CHECK),
    "7.17": Reason("The mailbox has got another owner.", _CHECK),
    "7.18": Reason("The domain has got another owner.", _CHECK),
    "7.20": Reason("The message's signature (DKIM) was not accepted.", _ASK_ADMINISTRATOR),
    "7.21": Reason("The message's signature (DKIM) was not accepted.", _ASK_ADMINISTRATOR),
    "7.22": Reason("The message's signature (DKIM) was not accepted.", _ASK_ADMINISTRATOR),
    "7.23": Reason(
        "The other server does not believe that this server sends for your domain (SPF).",
        _ASK_ADMINISTRATOR,
    ),
    "7.24": Reason(
        "The other server could not check that this server sends for your domain (SPF).",
        _ASK_ADMINISTRATOR,
    ),
    "7.25": Reason(
        "The other server does not trust this server, as its name is not set up right.",
        _ASK_ADMINISTRATOR,
    ),
    "7.26": Reason(
        "The other server does not believe that the message is from you (SPF, DKIM, DMARC).",
        _ASK_ADMINISTRATOR,
    ),
    "7.27": Reason(
        "Your own address can take no answers, so the other server refused.", _ASK_ADMINISTRATOR
    ),
    "7.28": Reason("The other server has got too much mail of this kind.", _AGAIN),
    "7.30": Reason(
        "The sender wanted it to travel over proven encryption only, which {domain} does not"
        " offer.",
        "Send the message again without that wish, if its content allows.",
    ),
}

_SUBJECTS: dict[str, Reason] = {
    "1": Reason("Something is wrong with an address.", _CHECK),
    "2": Reason("The mailbox did not take the message.", _ASK_THEIRS),
    "3": Reason("The other server could not take the message.", _AGAIN),
    "4": Reason("The other server could not be reached.", _AGAIN),
    "5": Reason("The two servers did not understand each other.", _ASK_ADMINISTRATOR),
    "6": Reason("The other server does not take content of this kind.", _ASK_THEIRS),
    "7": Reason("The other server does not want to take this message.", _ASK_THEIRS),
}

# Where the status says nothing (RFC 5321 section 4.2.3).
_NUMBERS: dict[str, Reason] = {
    "421": _REASONS["3.2"],
    "450": Reason("The mailbox cannot be reached at the moment.", _AGAIN),
    "451": Reason("The other server has trouble at the moment.", _AGAIN),
    "452": _REASONS["3.1"],
    "530": Reason("The next server wants a login.", _ASK_ADMINISTRATOR),
    "535": _REASONS["7.8"],
    "550": Reason("The other server refused the message for this address.", _CHECK),
    "551": _REASONS["1.6"],
    "552": Reason("The mailbox is full, or the message too large for it.", _SMALLER),
    "553": _REASONS["1.3"],
    "554": Reason("The other server refused the message.", _ASK_THEIRS),
    "556": _REASONS["1.10"],
}

_LATER = Reason("The other server does not want to take the message yet.")
_UNKNOWN = Reason("")


def reason_of(status: str, reply: str, *, delayed: bool) -> Reason:
    """Args:
    status: of the last attempt; what is no status counts as saying nothing.
    reply: the answer, with its number in front if a server gave it.
    """
    match = re.fullmatch(r"[245]\.([0-9]{1,3})\.([0-9]{1,3})", status)
    subject, detail = match.groups() if match else ("0", "0")
    if delayed and subject == "7":
        return _LATER  # greylisting above all
    known = _REASONS.get(f"{subject}.{detail}") or _SUBJECTS.get(subject)
    return known or _NUMBERS.get(reply.partition(" ")[0], _UNKNOWN)
