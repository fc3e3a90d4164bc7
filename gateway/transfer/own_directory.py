"""A directory that an export owns: made new, or known again by the marker it left there.

Owns the rule that an export never touches what somebody else wrote, and how files get there so that
a power cut leaves the old or the new ones (write, fsync, rename, fsync of the directory).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from gateway.core.ids import AccountId
from gateway.core.mailboxes import Mailbox
from gateway.transfer.exporting import TargetFailed

MARKER = ".mail-gateway-export"
DIRECTORY_MODE = 0o700
FILE_MODE = 0o600
MAX_PART_OCTETS = 240


class OwnDirectory:
    """The target of one export and of those that add to it.

    Args:
        kind: the form of what is in it; another one may not be added.
    """

    def __init__(self, path: Path, kind: str) -> None:
        self.path = path
        self._kind = kind
        self.state: dict[str, Any] = {}
        """What the marker says besides; the caller's to change before ``save``."""

    def begin(self, account_id: AccountId) -> None:
        """Raises: TargetFailed, OSError."""
        self.path.mkdir(DIRECTORY_MODE, exist_ok=True)
        found = self._marker()
        expected = {"kind": self._kind, "account_id": account_id}
        if found is None:
            if any(self.path.iterdir()):
                raise TargetFailed(
                    f"{self.path} is not empty and no export made it; name a directory that is"
                    " empty or does not exist"
                )
            self.state = {**expected, "state": {}}
            self.save()
            sync_directory(self.path.parent)
        elif {key: found.get(key) for key in expected} != expected:
            raise TargetFailed(
                f"{self.path} holds an export of another account or form ({found.get('kind')});"
                " name another directory"
            )
        else:
            self.state = found

    def _marker(self) -> dict[str, Any] | None:
        try:
            found = json.loads((self.path / MARKER).read_text("utf-8"))
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise TargetFailed(
                f"{self.path / MARKER} is damaged; name another directory"
            ) from error
        return found if isinstance(found, dict) else {}

    def place_of(self, mailbox: Mailbox, wanted: str) -> str:
        """Where a mailbox lies: where it lay before, or the first free place like the wanted one.

        Two names can come to one place, and which came first must not change it afterwards. A
        mailbox that was made anew under its name is another one.
        """
        key = f"{mailbox.uid_validity}:{mailbox.name}"
        places: dict[str, str] = self.state.setdefault("places", {})
        if key not in places:
            taken = set(places.values())
            found, number = wanted, 1
            while found in taken:
                number += 1
                found = f"{wanted}_{number}"
            places[key] = found
            self.save()
        return places[key]

    def save(self) -> None:
        replace_file(self.path / MARKER, json.dumps(self.state).encode())


def fitted_part(part: str) -> str:
    """A file's name no longer than file systems allow, with room for endings; still its own."""
    octets = part.encode()
    if len(octets) <= MAX_PART_OCTETS:
        return part
    digest = hashlib.sha256(octets).hexdigest()[:16]
    return octets[: MAX_PART_OCTETS - len(digest)].decode("utf-8", "ignore") + digest


def replace_file(path: Path, octets: bytes) -> None:
    """Raises: OSError."""
    new = path.with_name(path.name + ".new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(fd, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(fd)
    new.replace(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Raises: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
