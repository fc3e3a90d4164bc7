"""Where the state is, for commands that need nothing else of a configuration."""

from __future__ import annotations

import pytest

from gateway.core.settings.place import state_dir_of


@pytest.mark.parametrize(
    ("text", "environ", "found"),
    [
        ('state_dir = "/srv/mail"\nnonsense = 1', {}, "/srv/mail"),
        ('\ufeffstate_dir = "/srv/mail"', {}, "/srv/mail"),
        ('state_dir = "/srv/mail"', {"GATEWAY_STATE_DIR": "/other"}, "/other"),
        ('hostname = "mail.x.example"', {}, "/var/lib/gateway"),
        ("state_dir = 7", {}, None),
        ('state_dir = " "', {}, None),
        ("state_dir = ", {}, None),
        ("a = " + "[" * 50_000, {}, None),
        ("", {"GATEWAY_STATE_DIR": ""}, None),
    ],
)
def test_the_state_is_found_or_the_whole_configuration_has_to_tell(
    text: str, environ: dict[str, str], found: str | None
) -> None:
    assert state_dir_of(text, environ) == found
