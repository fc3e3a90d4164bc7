"""When the directory itself locks somebody, and how near they are: read from it, never guessed.

Owns where the bounds stand (Active Directory: the domain and its fine-grained policies; OpenLDAP:
the policy of the ppolicy overlay; FreeIPA: Kerberos policies; 389: its configuration, if the
service account may read it), and what an entry tells of its password: failures counted so far, and
when it was set. A failed look says nothing, and never stops a login. Times in an entry are the
server's clock; a difference of minutes moves the count by as much.

Limits: MAX_POLICIES are remembered, each for KEPT_S; while one is read for the first time, who
comes meanwhile waits for it: without it, guesses at once after a start could be one too many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from gateway.core.ports.may_ask import Lockout, PasswordState
from gateway.directory.ldap.asking import Asks, LdapFailed
from gateway.wire.ldap.filters import Equal, Filter, Or, Present
from gateway.wire.ldap.messages import Scope, SearchEntry, SearchRequest

KEPT_S = 900.0
KEPT_NOTHING_S = 60.0
MAX_POLICIES = 64
MAX_READ = 50
NEVER_S = 366 * 86_400.0
"""Active Directory's word for "until an administrator unlocks it", and a bound for all numbers."""

AD_ATTRIBUTES = ("pwdLastSet", "badPwdCount", "badPasswordTime", "msDS-ResultantPSO")
OTHER_ATTRIBUTES = (
    "pwdChangedTime", "pwdFailureTime", "pwdPolicySubentry",  # draft-behera
    "passwordRetryCount", "retryCountResetTime",  # 389
    "krbLastPwdChange", "krbLoginFailedCount", "krbPwdPolicyReference",  # FreeIPA
)  # fmt: skip
"""What a login's search has to bring besides."""

_POLICY_NAMES = ("msds-resultantpso", "pwdpolicysubentry", "krbpwdpolicyreference")
_POLICY_ATTRIBUTES = (
    "lockoutThreshold", "lockOutObservationWindow",
    "msDS-LockoutThreshold", "msDS-LockoutObservationWindow",
    "pwdLockout", "pwdMaxFailure", "pwdFailureCountInterval",
    "krbPwdMaxFailure", "krbPwdFailureCountInterval",
    "passwordLockout", "passwordMaxFailure", "passwordResetFailureCount",
)  # fmt: skip
_POLICIES: Filter = Or((Equal("objectClass", "pwdPolicy"), Equal("objectClass", "krbPwdPolicy")))
_ANY: Filter = Present("objectClass")

Attributes = Mapping[str, Sequence[bytes]]


def password_attributes(id_attribute: str) -> tuple[str, ...]:
    """What entries of a directory with this id attribute tell of their passwords."""
    return AD_ATTRIBUTES if id_attribute.lower() == "objectguid" else OTHER_ATTRIBUTES


class Lockouts:
    """The bounds of one directory.

    Args:
        base_dn: people are below it; the policies are looked for in the same naming context.
        wall_clock, monotonic: seconds.
    """

    log = Logger()

    def __init__(
        self,
        asks: Asks,
        base_dn: str,
        *,
        wall_clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._asks = asks
        self._base_dn = base_dn
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._read: dict[str, tuple[Lockout | None, float]] = {}
        self._reading: dict[str, list[Deferred[None]]] = {}

    async def state_of(self, entry: Attributes) -> PasswordState:
        """What this person's entry tells.

        Args:
            entry: its attributes by lower-case name, ``password_attributes`` among them.
        """
        policy = next((_text(entry, name) for name in _POLICY_NAMES if entry.get(name)), "")
        lockout = await self.lockout(policy)
        window_s = lockout.window_s if lockout is not None else 0.0
        return PasswordState(
            _first(entry, "pwdlastset", "pwdchangedtime", "krblastpwdchange"),
            failures_in(entry, window_s, self._wall_clock()),
            lockout,
        )

    async def lockout(self, policy: str = "") -> Lockout | None:
        """The bounds of the policy with this DN; empty: of people without one of their own."""
        known = self._read.get(policy)
        now = self._monotonic()
        if known is not None and (now < known[1] or policy in self._reading):
            return known[0]
        if policy in self._reading:
            read: Deferred[None] = Deferred()
            self._reading[policy].append(read)
            await read
            return await self.lockout(policy)  # who read it may have given up
        self._reading[policy] = []
        try:
            found = await self._found(policy)
            if len(self._read) >= MAX_POLICIES:
                self._read.pop(next(iter(self._read)))
            kept_s = KEPT_S if found is not None else KEPT_NOTHING_S
            self._read[policy] = found, now + kept_s
        finally:
            for each in self._reading.pop(policy):
                if not each.called:  # it is where somebody has given up
                    each.callback(None)
        if known is None or known[0] != found:
            self._tell(policy, found)
        return found

    async def _found(self, policy: str) -> Lockout | None:
        try:
            return await (self._of_policy(policy) if policy else self._default())
        except LdapFailed as failed:
            self.log.info("the lock-out policy cannot be read: {why}", why=failed.reason)
            return None

    def _tell(self, policy: str, found: Lockout | None) -> None:
        if found is None:
            self.log.info("the directory tells no lock-out policy; login.asked_per_person holds")
        else:
            self.log.info(
                "the directory locks people at {threshold} failures in {window_s:g} s"
                " (0: never){policy}",
                threshold=found.threshold,
                window_s=found.window_s,
                policy=f", by {policy!a}"[:300] if policy else "",
            )

    async def _of_policy(self, policy: str) -> Lockout | None:
        found = await self._search(policy, Scope.BASE, _ANY)
        return _strictest(found)

    async def _default(self) -> Lockout | None:
        root = await self._search("", Scope.BASE, _ANY, ("namingContexts", "defaultNamingContext"))
        attributes = root[0].attributes if root else {}
        domain = _text(attributes, "defaultnamingcontext")
        if domain:
            lockout = _strictest(await self._search(domain, Scope.BASE, _ANY))
            if lockout is not None:
                return lockout
        context = self._context(attributes.get("namingcontexts", ()))
        lockout = _strictest(await self._search(context, Scope.SUBTREE, _POLICIES))
        if lockout is not None:
            return lockout
        return _strictest(await self._search("cn=config", Scope.BASE, _ANY))

    def _context(self, contexts: Sequence[bytes]) -> str:
        """The naming context that people are in."""
        names = [octets.decode("utf-8", "replace") for octets in contexts]
        base = self._base_dn.lower().replace(" ", "")
        around = [each for each in names if base.endswith(each.lower().replace(" ", ""))]
        return max(around, key=len, default=self._base_dn)

    async def _search(
        self,
        base: str,
        scope: Scope,
        wanted: Filter,
        attributes: tuple[str, ...] = _POLICY_ATTRIBUTES,
    ) -> Sequence[SearchEntry]:
        """Nothing also where the server refuses it: most let nobody read some of it."""
        request = SearchRequest(base, scope, wanted, attributes, most=MAX_READ)
        return (await self._asks.search(request)).entries


def failures_in(entry: Attributes, window_s: float, now: float) -> int | None:
    """How many failures the directory counts for this entry; None: it does not tell.

    Args:
        window_s: for how long it counts one; 0: until a login works.
        now: Unix time.
    """
    if entry.get("badpwdcount"):
        # Active Directory leaves the number until the next try; the window decides whether it goes
        # on from there.
        last = _filetime(_text(entry, "badpasswordtime"))
        over = bool(window_s and last and now - last >= window_s)
        return 0 if over else _number(_text(entry, "badpwdcount"))
    if "pwdfailuretime" in entry:
        times = [_generalised(octets) for octets in entry["pwdfailuretime"]]
        return sum(not window_s or now - at < window_s for at in times)
    if entry.get("passwordretrycount"):
        until = entry.get("retrycountresettime", ())
        over = bool(until) and now >= _generalised(until[0])
        return 0 if over else _number(_text(entry, "passwordretrycount"))
    if entry.get("krbloginfailedcount"):
        return _number(_text(entry, "krbloginfailedcount"))
    return None


def _strictest(entries: Sequence[SearchEntry]) -> Lockout | None:
    """Of several policies the one that locks first: which is whose is not always told."""
    found = [each for each in map(_lockout, entries) if each is not None]
    locking = [each for each in found if each.threshold]
    if locking:
        return min(locking, key=lambda each: each.threshold)
    return found[0] if found else None


def _lockout(entry: SearchEntry) -> Lockout | None:
    told = entry.attributes
    for threshold, window in (
        ("lockoutthreshold", "lockoutobservationwindow"),
        ("msds-lockoutthreshold", "msds-lockoutobservationwindow"),
    ):
        if told.get(threshold):
            # 100 ns steps, negative.
            window_s = min(abs(_number(_text(told, window))) / 1e7, NEVER_S)
            return Lockout(_number(_text(told, threshold)), window_s)
    for switch, threshold, window in (
        ("pwdlockout", "pwdmaxfailure", "pwdfailurecountinterval"),
        ("", "krbpwdmaxfailure", "krbpwdfailurecountinterval"),
        ("passwordlockout", "passwordmaxfailure", "passwordresetfailurecount"),
    ):
        if told.get(threshold):
            locks = not switch or _text(told, switch).lower() in ("true", "on")
            window_s = min(float(abs(_number(_text(told, window)))), NEVER_S)
            return Lockout(_number(_text(told, threshold)) if locks else 0, window_s)
    return None


def _text(attributes: Attributes, name: str) -> str:
    values = attributes.get(name, ())
    return values[0].decode("utf-8", "replace") if values else ""


def _first(attributes: Attributes, *names: str) -> str:
    return next((_text(attributes, name) for name in names if attributes.get(name)), "")


def _number(text: str) -> int:
    digits = text.removeprefix("-")
    return int(text) if len(text) < 20 and digits.isascii() and digits.isdigit() else 0


def _filetime(text: str) -> float:
    """100 ns steps since 1601 as Unix time; 0: never."""
    number = _number(text)
    return number / 1e7 - 11_644_473_600 if number > 0 else 0.0


def _generalised(octets: bytes) -> float:
    """RFC 4517 section 3.3.13, as servers write it: in UTC, with or without a fraction. What is
    none counts as now: it is a failure, at some time."""
    text = octets.decode("ascii", "replace").rstrip("Z").partition(".")[0]
    try:
        return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return float("inf")
