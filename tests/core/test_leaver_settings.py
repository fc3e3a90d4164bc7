"""[leavers]: what contradicts is refused by its place."""

from __future__ import annotations

import pytest

from gateway.core.errors import SettingsError
from gateway.core.settings.model import Settings
from gateway.routing.from_settings import check_addresses
from tests.core.test_login_settings import problems


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ('mail = "forward"', ["leavers.forward_to"]),
        ("forward_to = 'a@example.com'", ["leavers.forward_to"]),
        ("after_days = 30", ["leavers.after_days"]),
        ('mail = "refuse"\nafter_days = -1', ["leavers.after_days"]),
        ("keep_addresses_days = -1", ["leavers.keep_addresses_days"]),
        ('mail = "bounce"', ["leavers.mail"]),
        ('mail = "refuse"\nafter_days = 30\ngone = "as_disabled"', []),
        ('mail = "forward"\nforward_to = "a@example.com"', []),
    ],
)
def test_what_contradicts_is_a_mistake(text: str, keys: list[str]) -> None:
    assert [key for key, _ in problems(f"[leavers]\n{text}")] == keys


def test_an_address_that_cannot_be_one_is_named() -> None:
    settings = Settings.model_validate(
        {
            "hostname": "mail.example.test",
            "domains": {"example.test": {}},
            "directory": {"kind": "ldif", "path": "x"},
            "leavers": {"mail": "forward", "forward_to": "a..b@example.com"},
        }
    )
    with pytest.raises(SettingsError) as refused:
        check_addresses(settings, {})
    assert [each.key for each in refused.value.problems] == ["leavers.forward_to"]
