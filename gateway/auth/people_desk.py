"""Where administrators ask about people, in JSON's shapes: who there is, and what is known of one.

Owns the calls behind ``gateway user``; those about app passwords are ``app_passwords_desk``'s. Asks
the directory and the store as logins and deliveries do, so that it tells what they would see. Never
changes anything of the directory.

Limits: a call to list looks at MOST_LOOKED_AT people, and says where the next goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from gateway.auth.app_passwords_desk import AppPasswordDesk, called
from gateway.auth.group_mailboxes import GroupMailbox, GroupMailboxes
from gateway.auth.person_known import PersonKnown, question_in
from gateway.core.account import Account
from gateway.core.address import Address
from gateway.core.errors import DirectoryUnavailable, GatewayError
from gateway.core.group import Group
from gateway.core.ids import AccountId
from gateway.core.log_text import shown
from gateway.core.ports.kept_passwords import Refusals
from gateway.core.ports.routing import Router
from gateway.core.ports.standings import UNKNOWN, Standing, Standings
from gateway.core.route import Expansion, LocalMailbox, Outbound, Route
from gateway.wire.address import AddressSyntax, parse_mailbox

PAGE = 200
MOST_LOOKED_AT = 5000
MAX_MATCH = 200
BY_ID = "id:"
SHOWN_MEMBERS = 10

CALLS = frozenset(
    {"list", "show", "known", "app-passwords", "app-password-create", "app-password-revoke"}
)

Answer = dict[str, Any]
Arguments = Mapping[str, Any]
Whence = Callable[[Sequence[Address]], str]


class PeopleCallRefused(GatewayError):
    """The call is not what it should be; the text says what is expected."""

    temporary = False
    default_text = "the gateway does not know this call about people"


class PersonUnknown(GatewayError):
    """Nobody is called what the administrator typed."""

    temporary = False


class KnowsPeople(Protocol):
    """What is needed of a directory; see ``core.ports.directory``."""

    async def find(self, login_or_address: str) -> Account | None: ...

    async def find_by_id(self, account_id: AccountId) -> Account | None: ...

    async def people(self, after: str, limit: int, *, directory: str = "") -> Sequence[Account]: ...

    async def groups_of(self, account: Account) -> Sequence[Group]: ...


class PeopleDesk:
    """Answers calls.

    Args:
        mailboxes: of groups, which are shown as people are.
        directories: what they are called.
        whence: where the directory's answer about some addresses comes from; None: from itself.
    """

    def __init__(
        self,
        directory: KnowsPeople,
        router: Router,
        standings: Standings,
        refusals: Refusals,
        app_passwords: AppPasswordDesk,
        known: PersonKnown | None = None,
        mailboxes: GroupMailboxes | None = None,
        directories: Sequence[str] = (),
        whence: Whence | None = None,
    ) -> None:
        self._directory = directory
        self._router = router
        self._standings = standings
        self._refusals = refusals
        self._app_passwords = app_passwords
        self._mailboxes = mailboxes
        self._known = known
        self._directories = directories
        self._whence = whence

    async def call(self, name: str, arguments: Arguments, actor: str) -> Answer:
        """Raises: GatewayError."""
        match name:
            case "list":
                return await self._list(arguments)
            case "show":
                mailbox = await self._mailbox(arguments)
                if mailbox is not None:
                    return await self._show_mailbox(mailbox)
                return await self._show(await self._person(arguments, or_once=True))
            case "known":
                question = question_in(arguments)
                if question is not None and self._known is not None:
                    return await self._known.told(question)
            case "app-password-create":
                account = await self._person(arguments)
                if not account.login:
                    raise PersonUnknown(f"nobody in the directory has {called(account)}")
                made = await self._app_passwords.create(account, arguments, actor)
                return {"login": account.login, **made}
            case "app-password-revoke":
                account = await self._person(arguments, or_gone=True)
                return {"revoked": await self._app_passwords.revoke(account, arguments, actor)}
            case "app-passwords":
                account = await self._person(arguments, or_gone=True)
                rows = await self._app_passwords.rows(account)
                return {"login": account.login, "app_passwords": rows}
        raise PeopleCallRefused()

    # -- many

    async def _list(self, arguments: Arguments) -> Answer:
        """``{"after", "limit", "match", "disabled", "directory"}``."""
        after = _argument(arguments, "after", str, "")
        limit = min(max(_argument(arguments, "limit", int, PAGE), 1), PAGE)
        match = _argument(arguments, "match", str, "")[:MAX_MATCH].casefold()
        disabled = _argument(arguments, "disabled", bool, False)
        directory = self._directory_named(_argument(arguments, "directory", str, ""))
        found: list[Account] = []
        looked_at = 0
        more = True
        while more and len(found) < limit and looked_at < MOST_LOOKED_AT:
            page = await self._directory.people(after, PAGE, directory=directory)
            more = len(page) == PAGE
            for account in page:
                if len(found) == limit:
                    more = True
                    break
                after = account.account_id
                looked_at += 1
                if _fits(account, match, disabled):
                    found.append(account)
        known = await self._standings.standings([each.account_id for each in found])
        rows = [_row(each, known.get(each.account_id, UNKNOWN)) for each in found]
        return {"people": rows, "more_after": after if more else "", "looked_at": looked_at}

    def _directory_named(self, name: str) -> str:
        if not name or not self._directories:
            return name
        if name not in self._directories:
            there = ", ".join(self._directories)
            raise PeopleCallRefused(f"there is no directory {shown(name)}; there is {there}")
        return name if len(self._directories) > 1 else ""

    # -- one

    async def _person(
        self, arguments: Arguments, *, or_gone: bool = False, or_once: bool = False
    ) -> Account:
        """Whom the administrator means; of somebody gone from the directory only the id is known.

        Args:
            or_gone: it makes no difference, so a directory that does not answer is no obstacle.
            or_once: also by what somebody was called once.

        Raises: PersonUnknown, DirectoryUnavailable.
        """
        person = _argument(arguments, "person", str, "")
        if person.startswith(BY_ID):
            account_id = AccountId(person.removeprefix(BY_ID))
            known: Account | None = None
            try:
                known = await self._directory.find_by_id(account_id)
            except DirectoryUnavailable:
                if not or_gone:
                    raise
            return known or Account(account_id, "", "", ())
        found = await self._directory.find(person)
        if found is not None:
            return found
        once = await self._known.once_called(person) if self._known is not None else ()
        if or_once and len(once) == 1:
            return await self._person({"person": f"{BY_ID}{once[0]}"})
        ids = ", ".join(f"{BY_ID}{each}" for each in once[:SHOWN_MEMBERS]) or f"{BY_ID}..."
        had = "; it was that of" if once else "; people who are gone from it are named by their"
        raise PersonUnknown(
            f"nobody in the directory has the login or address {shown(person)}{had}"
            f"{'' if once else ' immutable id, as'} {ids}"
        )

    async def _mailbox(self, arguments: Arguments) -> GroupMailbox | None:
        person = _argument(arguments, "person", str, "")
        if self._mailboxes is None or "@" not in person or person.startswith(BY_ID):
            return None
        return await self._mailboxes.find(person)

    async def _show_mailbox(self, mailbox: GroupMailbox) -> Answer:
        account = mailbox.account
        standings = await self._standings.standings([account.account_id])
        standing = standings.get(account.account_id, UNKNOWN)
        return {
            **_row(account, standing),
            "state": "shared mailbox of a group",
            "addresses": list(account.addresses),
            "in_directory": True,
            "quota": _quota(account, standing),
            "groups": [],
            "groups_trouble": "",
            "mail_goes": await self._mail_goes(account),
            "app_passwords": [],
            "refusals": [],
            "shared": mailbox.shown(),
        }

    async def _show(self, account: Account) -> Answer:
        standings = await self._standings.standings([account.account_id])
        standing = standings.get(account.account_id, UNKNOWN)
        groups, groups_trouble = await self._groups(account)
        return {
            **_row(account, standing),
            "addresses": list(account.addresses),
            "in_directory": bool(account.login),
            "known_from": self._known_from(account),
            "quota": _quota(account, standing),
            "groups": groups,
            "groups_trouble": groups_trouble,
            "mail_goes": await self._mail_goes(account),
            "app_passwords": await self._app_passwords.rows(account),
            "refusals": [
                {
                    "at": each.at,
                    "reason": each.reason.words,
                    "protocol": each.protocol,
                    "from": each.peer_ip,
                }
                for each in await self._refusals.recent(account.account_id)
            ],
        }

    def _known_from(self, account: Account) -> str:
        if self._whence is None or not account.login:
            return ""
        return self._whence([_parsed(each) for each in account.addresses])

    async def _groups(self, account: Account) -> tuple[list[Answer], str]:
        if not account.login:
            return [], ""
        try:
            groups = await self._directory.groups_of(account)
        except GatewayError as error:
            return [], str(error)
        return [{"name": each.name, "address": each.addresses[0]} for each in groups], ""

    async def _mail_goes(self, account: Account) -> list[Answer]:
        """Where mail for each address goes, or why it goes nowhere."""
        answers: list[Answer] = []
        for text in account.addresses:
            try:
                route = await self._router.route(_parsed(text), may_relay=False)
                answers.append({"address": text, "to": _route(route, account)})
            except GatewayError as error:
                answers.append({"address": text, "to": [], "trouble": str(error)})
        return answers


def _fits(account: Account, match: str, disabled: bool) -> bool:
    if disabled and account.enabled and not account.locked:
        return False
    if not match:
        return True
    texts = (account.login, account.display_name, account.account_id, *account.addresses)
    return any(match in each.casefold() for each in texts)


def _row(account: Account, standing: Standing) -> Answer:
    state = "disabled" if not account.enabled else "locked" if account.locked else "enabled"
    usage = standing.usage
    return {
        "id": account.account_id,
        "login": account.login,
        "address": account.primary_address,
        "name": account.display_name,
        "state": state if account.login else "not in the directory",
        "condition": account.condition,
        "octets": usage.octets if usage is not None else None,
        "messages": usage.messages if usage is not None else None,
        "last_login_at": standing.last_login_at or None,
    }


def _quota(account: Account, standing: Standing) -> Answer:
    usage, allowance = standing.usage, account.allowance
    return {
        "octets": usage.quota.octets or None if usage is not None else allowance.octets or None,
        "messages": usage.quota.messages or None
        if usage is not None
        else allowance.messages or None,
        "percent": usage.percent if usage is not None else 0,
        "unreadable": allowance.unreadable,
    }


def _route(route: Route, account: Account) -> list[str]:
    match route:
        case LocalMailbox(owner):
            own = owner.account_id == account.account_id
            return ["the mailbox here" if own else f"the mailbox of {owner.login}"]
        case Outbound(next_hop):
            return [f"another server: {next_hop}" if next_hop else "another server"]
        case Expansion(name, members):
            told = [f"{each.address} by {name}" for each in members[:SHOWN_MEMBERS]]
            more = len(members) - len(told)
            return [*told, f"and {more} more"] if more else told


def _parsed(text: str) -> Address:
    try:
        return parse_mailbox(text)
    except AddressSyntax as error:
        raise PeopleCallRefused(f"{text}: {error}") from None


def _argument(arguments: Arguments, name: str, kind: type, default: Any) -> Any:
    """Raises: PeopleCallRefused."""
    value = arguments.get(name)
    if value is None:
        return default
    if type(value) is not kind:
        raise PeopleCallRefused(f'expected "{name}": {kind.__name__}')
    return value
