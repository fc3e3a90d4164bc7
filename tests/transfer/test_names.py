"""Names of folders elsewhere become names that are possible here."""

from __future__ import annotations

import os

import pytest

from gateway.store import names as store_names
from gateway.transfer.names import NameRules, decoded, fitted
from gateway.wire.imap import names as wire_names


@pytest.mark.parametrize(
    ("levels", "name"),
    [
        (["inbox"], "INBOX"),
        (["Inbox", "Sub"], "INBOX/Sub"),
        (["sent"], "Sent"),
        (["Work", "sent"], "Work/sent"),
        (["a/b", "c*d%"], "a_b/c_d_"),
        (["", ".."], "_/__"),
        (["#news"], "_news"),
        (["Bu\u0308cher"], "Bücher"),
        (["tab\there\u2028"], "tab_here_"),
    ],
)
def test_names_fit(levels: list[str], name: str) -> None:
    assert fitted(levels) == name


@pytest.mark.parametrize("levels", [["ü" * 300], ["x"] * 50, ["y" * 250] * 20, ["ü" * 126] * 29])
def test_names_that_are_too_long_are_cut_so_that_store_and_clients_take_them(
    levels: list[str],
) -> None:
    name = fitted(levels)
    assert store_names.check_new(name) == name
    assert wire_names.decode(wire_names.encode(name)[1:-1]) == name


@pytest.mark.parametrize(
    ("on_disk", "name"),
    [
        (b"Entw&APw-rfe", "Entwürfe"),
        ("Entwürfe".encode(), "Entwürfe"),
        (b"R&-D", "R&D"),
        (b"R&D", "R&D"),
        (b"caf\xe9", "caf=E9"),
    ],
)
def test_names_are_decoded(on_disk: bytes, name: str) -> None:
    assert decoded(os.fsdecode(on_disk)) == name


def test_what_is_below_a_renamed_folder_goes_along() -> None:
    rules = NameRules({"sent items": "Sent", "Old/Lists": "Archive/Lists"})
    assert rules("sent items") == "Sent"
    assert rules("sent items/2003") == "Sent/2003"
    assert rules("Old/Lists/x") == "Archive/Lists/x"
    assert rules("Old") == "Old"
