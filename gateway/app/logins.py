"""The portal and what else logins are checked with, as the settings have it.

Owns construction, and the key that keeps SCRAM from telling who exists: it is made once in
``state_dir`` and is the same for all processes and after every restart.
"""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twisted.cred.portal import Portal

from gateway.app.trust import trust_root
from gateway.auth.account_sessions import AccountSessions
from gateway.auth.app_passwords import AppPasswords
from gateway.auth.app_passwords_sessions import AppPasswordSessions
from gateway.auth.certificate_names import names_by
from gateway.auth.checkers import (
    AppPasswordChecker,
    CertificateChecker,
    DeskChecker,
    ProofChecker,
    TokenChecker,
)
from gateway.auth.https_post import HttpsPost
from gateway.auth.introspection import Introspection
from gateway.auth.jwt_issuer import JwtIssuer
from gateway.auth.keeping import Keeper
from gateway.auth.login_memory import Bounds, LoginMemory
from gateway.auth.mechanisms import Means
from gateway.auth.outage import OutageLogins
from gateway.auth.passwords import Aids, PasswordDesk
from gateway.auth.person_budget import PersonBudget
from gateway.auth.person_known import KeptLogins, Obstacles
from gateway.auth.realm import MailRealm
from gateway.auth.remembered import RememberedLogins
from gateway.auth.secrets import Secrets
from gateway.auth.throttle import LoginThrottle
from gateway.auth.tokens import TokenIssuer, TokenRules
from gateway.core.errors import StoreUnavailable
from gateway.core.networks import named
from gateway.core.ports.clock import Timers
from gateway.core.ports.directory import Directory
from gateway.core.settings.login import OAuthSettings
from gateway.core.settings.model import Settings, each_directory
from gateway.core.settings.paths import login_key
from gateway.directory.threads import WorkerThreads

KEY_OCTETS = 32
THREADS = 2
WAITING = 256
DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Logins:
    """What the doors check logins with."""

    portal: Portal
    means: Means
    threads: WorkerThreads
    app_passwords: AppPasswordSessions
    accounts: AccountSessions
    aids: Aids
    background: WorkerThreads
    obstacles: Obstacles

    async def close(self) -> None:
        self.app_passwords.close()
        self.accounts.close()
        if self.aids.keeper is not None:
            self.aids.keeper.close()
        await self.threads.close()
        await self.background.close()


def login_threads(reactor: Any) -> WorkerThreads:
    """Where keys are derived and files read; none runs before it is needed."""
    return WorkerThreads(
        "login", threads=THREADS, waiting=WAITING, call_from_thread=reactor.callFromThread
    )


def logins_from(
    settings: Settings,
    directory: Directory,
    realm: MailRealm,
    *,
    issuer: TokenIssuer | None,
    threads: WorkerThreads,
    memory: LoginMemory,
    kept: KeptLogins,
    reactor: Any,
) -> Logins:
    """Everything for logins. Reads the login key, which blocks.

    Raises:
        StoreUnavailable: the login key cannot be kept.
    """
    login = settings.login
    certificates = any(listen.client_ca_file for listen in settings.listen)
    # Any: mypy does not see what zope's @implementer declares.
    apps = app_passwords_from(settings, directory, kept, threads)
    sessions = AppPasswordSessions(kept.app_passwords, reactor)
    accounts = AccountSessions(directory, reactor)
    key = kept_key(login_key(Path(settings.state_dir)))
    throttle = LoginThrottle(
        Bounds(login.failures_per_minute, login.failures_per_day, login.asked_per_login),
        memory,
        named(login.exempt, settings.networks).contains,
    )
    background = WorkerThreads(
        "login-later",
        threads=1,
        waiting=WAITING,
        call_from_thread=reactor.callFromThread,
        idle_only=True,
    )
    aids = password_aids(
        settings,
        kept,
        memory,
        throttle,
        key=key,
        threads=threads,
        background=background,
        timers=reactor,
    )
    checkers: list[Any] = [
        AppPasswordChecker(apps, DeskChecker(PasswordDesk(directory, aids))),
        ProofChecker(apps),
    ]
    if issuer is not None:
        checkers.append(TokenChecker(issuer, directory))
    if certificates:
        checkers.append(CertificateChecker(directory, names_by(settings.login.certificate_name)))
    means = Means(
        secrets=Secrets(
            [directory],
            key=key,
            iterations=settings.login.scram_iterations,
            salt_octets=settings.login.scram_salt_octets,
            threads=threads,
            app_passwords=apps,
        ),
        tokens=issuer is not None,
        certificates=certificates,
        allowed=frozenset(settings.login.mechanisms),
        discovery=_discovery(settings.oauth.issuer),
        hostname=settings.hostname,
        throttle=throttle,
        tell_reasons=login.tell_reasons,
        app_password_sessions=sessions,
        account_sessions=accounts,
    )
    any_realm: Any = realm
    obstacles = Obstacles(throttle, aids.budget)
    return Logins(
        Portal(any_realm, checkers), means, threads, sessions, accounts, aids, background, obstacles
    )


def password_aids(
    settings: Settings,
    kept: KeptLogins,
    memory: LoginMemory,
    throttle: LoginThrottle,
    *,
    key: bytes,
    threads: WorkerThreads,
    background: WorkerThreads,
    timers: Timers,
) -> Aids:
    """What passwords are checked with besides the directory."""
    login = settings.login
    keeper = outage = None
    # A file does not go away, so there is nothing to keep of whom it knows.
    if login.outage_days and "ldap" in (each.kind for _, each in each_directory(settings)):
        keeper = Keeper(
            kept.kept_passwords,
            key=key,
            random=secrets.token_bytes,
            said=memory.tallies,
            threads=threads,
            background=background,
            timers=timers,
            wall_clock=time.time,
        )
        outage = OutageLogins(
            kept.kept_passwords,
            keeper,
            keep_s=login.outage_days * DAY_S,
            key=key,
            random=secrets.token_bytes,
            threads=threads,
            wall_clock=time.time,
        )
    return Aids(
        PersonBudget(
            memory.answers,
            memory.tallies,
            timers,
            asked_per_person=login.asked_per_person,
            asked_per_login=login.asked_per_login,
        ),
        RememberedLogins(
            memory.answers,
            for_s=login.remembered_s,
            monotonic=time.monotonic,
            random=secrets.randbelow,
        ),
        is_known=throttle.is_known,
        wall_clock=time.time,
        outage=outage,
        keeper=keeper,
        refusals=kept.refusals,
    )


def app_passwords_from(
    settings: Settings, directory: Directory, kept: KeptLogins, threads: WorkerThreads
) -> AppPasswords:
    """What app passwords are checked with."""
    section = settings.app_passwords
    return AppPasswords(
        kept.app_passwords,
        directory,
        threads=threads,
        wall_clock=time.time,
        monotonic=time.monotonic,
        networks=settings.networks,
        enabled=section.enabled,
        only=section.only,
        exempt=named(section.exempt, settings.networks),
        refusals=kept.refusals,
    )


def kept_key(path: Path) -> bytes:
    """The key in this file, made on first use; whoever of several comes first makes it.

    Raises:
        StoreUnavailable: it can be neither read nor written.
    """
    try:
        if not path.exists():
            _make_key(path)
        key = path.read_bytes()
    except OSError as error:
        reason = f"{path}: {error.strerror}"
        raise StoreUnavailable(reason=reason) from None
    if len(key) != KEY_OCTETS:
        found = f"{len(key)} octets"
        raise StoreUnavailable(reason=f"{path}: {found}; remove it and a new one is made")
    return key


def _make_key(path: Path) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_OCTETS))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # unlike a rename, never in place of another's
        except FileExistsError:
            return
    finally:
        temporary.unlink(missing_ok=True)


def issuer_from(oauth: OAuthSettings, threads: WorkerThreads, reactor: Any) -> TokenIssuer | None:
    """Who tells whose a token is; None without one. Reads its keys, which blocks.

    Raises:
        SettingsError: a file named in the settings cannot be used.
    """
    if not oauth.issuer:
        return None
    rules = TokenRules(oauth.issuer, frozenset(oauth.audience), oauth.login_claims, oauth.leeway_s)
    if oauth.jwks_file:
        return JwtIssuer(
            Path(oauth.jwks_file),
            rules,
            algorithms=frozenset(oauth.algorithms),
            threads=threads,
            wall_clock=time.time,
            monotonic=time.monotonic,
        )
    post = HttpsPost(
        reactor,
        oauth.introspection_url,
        client_id=oauth.client_id,
        client_secret=oauth.client_secret.get_secret_value(),
        trust=trust_root(oauth.ca_file, "oauth.ca_file") if oauth.ca_file else None,
    )
    return Introspection(post, rules, wall_clock=time.time, monotonic=time.monotonic)


def _discovery(issuer: str) -> str:
    """Where OpenID Connect Discovery 1.0 section 4 puts it; nothing for an issuer without a URL."""
    if not issuer.startswith("https://"):
        return ""
    return f"{issuer.rstrip('/')}/.well-known/openid-configuration"
