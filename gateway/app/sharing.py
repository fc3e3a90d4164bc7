"""Shared mailboxes from the settings. Owns which setting reaches which part."""

from __future__ import annotations

from gateway.auth.realm import Learn
from gateway.auth.sharing import Sharing
from gateway.core.account import Account
from gateway.core.ports.directory import Directory
from gateway.core.ports.store import MailboxStore
from gateway.core.settings.groups import shares_in
from gateway.core.settings.model import Settings


def sharing_from(
    settings: Settings, directory: Directory, store: MailboxStore, learn: Learn
) -> Sharing | None:
    """Who may open which; None: no group has a mailbox.

    Args:
        learn: hears of each account that is about to be opened.
    """
    shares = shares_in(settings.groups, settings.domains)
    if not shares:
        return None

    async def prepare(account: Account) -> None:
        await learn(account)
        await store.ensure_account(account.account_id)

    return Sharing(directory, shares, prepare)
