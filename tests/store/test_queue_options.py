"""Every option of a message survives in its column, alone and with others."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from gateway.core.envelope import NO_OPTIONS, BodyKind, DeliverBy, MessageOptions
from gateway.store.queue_options import body_number, message_options, message_text

ASKED = MessageOptions(
    body=BodyKind.EIGHT_BIT,
    smtputf8=True,
    ret="HDRS",
    envid="id 1",
    deliver_by=DeliverBy(5, or_return=True, trace=True),
    release_at=7,
    priority=-3,
    require_tls=True,
    tls_optional=True,
    solicit=("net.example:adv",),
)
NAMES = [each.name for each in fields(MessageOptions)]


def kept(options: MessageOptions) -> MessageOptions:
    return message_options(message_text(options), body_number(options))


@pytest.mark.parametrize("name", NAMES)
def test_an_option_alone_is_kept(name: str) -> None:
    assert getattr(ASKED, name) != getattr(NO_OPTIONS, name), "a new option: give it a value here"
    alone = replace(NO_OPTIONS, **{name: getattr(ASKED, name)})
    assert kept(alone) == alone


def test_all_of_them_are_kept_and_none_costs_nothing() -> None:
    assert kept(ASKED) == ASKED
    assert message_text(NO_OPTIONS) == "" and kept(NO_OPTIONS) is NO_OPTIONS
