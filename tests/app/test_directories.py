"""Several directories as the settings have them: who is asked, as administrators are told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.task import Clock

from gateway.app.directories import directories_from
from gateway.core.address import Address
from gateway.core.settings.model import Settings
from gateway.directory.ldap.account import OwnMarks


def test_whence_names_the_directories_that_are_asked(tmp_path: Path) -> None:
    servers = {"kind": "ldap", "uri": ["ldap://127.0.0.1:9"], "base_dn": "dc=example,dc=test"}
    settings = Settings.model_validate(
        {
            "hostname": "mail.example.test",
            "state_dir": str(tmp_path),
            "domains": {"example.test": {}, "branch.test": {}},
            "directory": servers,
            "directories": {"branch": {**servers, "domains": ["branch.test"]}},
        }
    )
    clock: Any = Clock()
    directories = directories_from(settings, clock, None, OwnMarks(clock))
    assert directories.whence is not None
    unmade = "the directory's servers, as there is no complete picture of it"
    assert directories.whence([Address("ann", "example.test")]) == unmade
    assert directories.whence([Address("bob", "branch.test")]) == f"branch: {unmade}"
