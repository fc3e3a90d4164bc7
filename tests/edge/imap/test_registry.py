"""The registry's promises, and the map from errors to replies."""

from __future__ import annotations

import pytest
from twisted.logger import Logger

from gateway.core import errors as core
from gateway.edge.imap.commands import imap_registry
from gateway.edge.imap.errors import CODES, reply_to
from gateway.edge.imap.registry import ANY, Registry, Row, When
from gateway.edge.imap.view import OutsideMailbox
from gateway.wire.imap import commands

LOG = Logger()


def test_every_command_of_the_wire_has_a_row_that_names_its_rfc() -> None:
    registry = imap_registry()
    known = {
        value
        for value in vars(commands).values()
        if isinstance(value, type) and issubclass(value, commands.Command)
    }
    assert all("RFC" in command.rfc for command in known)
    assert known - {commands.Command} == set(commands.COMMANDS)
    row = registry.row_of(commands.Noop(b"t"))
    assert row.name == "NOOP"


def test_a_command_without_a_row_stops_the_start() -> None:
    row = Row(commands.Noop, "NOOP", imap_registry().row_of(commands.Noop(b"t")).handler, ANY)
    with pytest.raises(ValueError, match="no row for Capability"):
        Registry([row])
    with pytest.raises(ValueError, match="two rows for NOOP"):
        Registry([row, row])


def test_nothing_is_advertised_twice_or_without_a_moment() -> None:
    words = imap_registry().capabilities(list(When)).split()
    assert words[0] == "IMAP4rev1"
    assert len(words) == len(set(words))
    assert imap_registry().capabilities([]) == "IMAP4rev1 ID"


@pytest.mark.parametrize("error", CODES, ids=lambda error: error.__name__)
def test_expected_errors_have_their_code(error: type[core.GatewayError]) -> None:
    reply = reply_to(error(), log=LOG, connection_id="c", command="X")
    assert (reply.condition, reply.code) == ("NO", CODES[error])


def test_A5_temporary_trouble_is_unavailable_and_never_a_wrong_password() -> None:
    own_codes = (core.StoreDamaged, core.StoreFull, core.OverQuota)
    for error, code in CODES.items():
        if error.temporary and error not in own_codes:
            assert code == "UNAVAILABLE"


def test_numbers_outside_the_mailbox_are_the_clients_mistake() -> None:
    assert reply_to(OutsideMailbox(), log=LOG, connection_id="c", command="X").condition == "BAD"


def test_the_unexpected_is_logged_and_told_without_details(
    recorded_failures: list[object],
) -> None:
    for error in (core.SchemaTooNew("/var/lib/x"), KeyError("/var/lib/x")):
        reply = reply_to(error, log=LOG, connection_id="c", command="X")
        assert (reply.condition, reply.code) == ("NO", "SERVERBUG")
        assert "/var" not in reply.text
    assert len(recorded_failures) == 2
