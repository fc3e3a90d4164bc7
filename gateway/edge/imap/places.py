"""From the name of a mailbox, as a client sees it, to whose it is and what may be done there.

Owns the names of shared mailboxes: ``Shared/NAME`` is the inbox of one, ``Shared/NAME/...`` what
lies beside it there. A level is looked up among the names that the settings give and leads to an
account that the port names, never to one that a client could spell. Whoever has a mailbox of their
own below ``Shared`` keeps it; new ones are not made there while there are shared ones.

Sessions without shared mailboxes, and names elsewhere, cost one comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.errors import MailboxNameRefused, NoPermission, NoSuchMailbox
from gateway.core.ids import AccountId
from gateway.core.mailboxes import SEPARATOR
from gateway.core.ports.sharing import SharesMailboxes
from gateway.core.shared_mailboxes import NOTHING, ROOT, Rights, SharedMailbox

INBOX = "INBOX"
_BELOW = ROOT + SEPARATOR
_WRITING = frozenset("swite")


@dataclass(frozen=True, slots=True)
class Place:
    """One mailbox.

    Args:
        name: inside the account.
        shared: None: it is the person's own, who may do everything.
    """

    account_id: AccountId
    name: str
    shared: SharedMailbox | None = None

    def need(self, rights: str) -> None:
        """Raises: NoPermission."""
        if self.shared is not None and not self.shared.rights.issuperset(rights):
            raise NoPermission()

    @property
    def is_read_only(self) -> bool:
        """RFC 4314 section 5.2: READ-ONLY where none of these rights is there."""
        return self.shared is not None and writes_nothing(self.shared.rights)


def writes_nothing(rights: Rights) -> bool:
    return rights.isdisjoint(_WRITING)


class Places:
    """The names of one session.

    Args:
        shares: None: nothing is shared here.
    """

    def __init__(self, own: AccountId, shares: SharesMailboxes | None) -> None:
        self._own = own
        self._shares = shares

    @property
    def has_shared(self) -> bool:
        """Whether there are shared mailboxes at all, for whomever."""
        return self._shares is not None

    async def find(self, name: str, rights: str = "") -> Place:
        """Where this name leads.

        Raises:
            NoPermission: a shared mailbox, without one of these rights.
            NoSuchMailbox, DirectoryUnavailable
        """
        if self._shares is None or not name.startswith(_BELOW):
            return Place(self._own, name)
        level, _, rest = name[len(_BELOW) :].partition(SEPARATOR)
        shared = await self._shares.find(self._own, level)
        if shared is None:
            return Place(self._own, name)
        first, below, deeper = rest.partition(SEPARATOR)
        if first.upper() == INBOX:
            if not below:
                raise NoSuchMailbox()  # it has one name, and that is not this one
            rest = INBOX + SEPARATOR + deeper  # in whatever case, as below one's own
        place = Place(shared.account.account_id, rest or INBOX, shared)
        place.need(rights)
        return place

    async def new(self, name: str, rights: str = "") -> Place:
        """The same for a name that is to be made. Raises: also MailboxNameRefused."""
        place = await self.find(name, rights)
        is_kept = self._shares is not None and (name == ROOT or name.startswith(_BELOW))
        if is_kept and place.shared is None:
            raise MailboxNameRefused(f"names below {ROOT} are those of shared mailboxes")
        return place

    async def rights_at(self, place: Place) -> Rights:
        """What may be done there by now. Raises: DirectoryUnavailable."""
        if self._shares is None or place.shared is None:
            return NOTHING
        shared = await self._shares.find(self._own, place.shared.name)
        # By the same name another group's may be found, after a change in the directory.
        if shared is None or shared.account.account_id != place.account_id:
            return NOTHING
        return shared.rights

    async def shared(self) -> Sequence[SharedMailbox]:
        """All of them. Raises: DirectoryUnavailable."""
        return await self._shares.shared_with(self._own) if self._shares is not None else ()


def shown_name(shared: SharedMailbox, name: str) -> str:
    """What the session calls a mailbox of this account."""
    top = _BELOW + shared.name
    return top if name == INBOX else top + SEPARATOR + name


def may_mean_shared(pattern: str) -> bool:
    """Whether a pattern of LIST could match names below ``Shared``, or that name itself."""
    fixed = len(pattern)
    for wildcard in "*%":
        at = pattern.find(wildcard)
        fixed = at if 0 <= at < fixed else fixed
    start = pattern[: min(fixed, len(ROOT))]
    return ROOT.startswith(start) and (fixed < len(pattern) or fixed >= len(ROOT))
