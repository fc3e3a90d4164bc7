"""What the three doors have in common for those who log in."""

from __future__ import annotations

from gateway.auth import sasl
from gateway.edge.imap.services import ImapLimits
from gateway.edge.login import FAILED_LOGIN_S
from gateway.edge.pop3_limits import Pop3Limits
from gateway.wire.imap.events import BEFORE_LOGIN
from gateway.wire.pop3_lines import MAX_SASL_LINE_OCTETS
from gateway.wire.smtp_limits import SmtpLimits


def test_A4_no_door_is_easier_to_guess_at_than_another() -> None:
    doors = (SmtpLimits(), Pop3Limits(), ImapLimits())
    assert {limits.failed_login_s for limits in doors} == {FAILED_LOGIN_S}
    assert {limits.failed_logins for limits in doors} == {3}


def test_every_door_takes_the_longest_line_of_an_exchange() -> None:
    longest = sasl.MAX_LINE_OCTETS
    assert SmtpLimits().auth_line_octets >= longest
    assert longest <= MAX_SASL_LINE_OCTETS
    assert BEFORE_LOGIN.line_octets > longest + len("tag AUTHENTICATE PLAIN \r\n")
