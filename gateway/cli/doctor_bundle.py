"""The doctor's findings as one file to pass on: JSON in a ``.tar.gz``, without secrets or names.

Owns what is in it, the names that are taken out, and the file: mode 0600, never in the place of
another. Secrets are in none of its sources; names are replaced by ``redaction`` unless they are
wanted. The log is left out, as the gateway does not know where it goes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from importlib import metadata
from pathlib import Path
from typing import Any

import click

from gateway.cli.doctor_run import Examination
from gateway.cli.redaction import Redaction
from gateway.core.settings.load import Loaded
from gateway.core.settings.model import each_directory
from gateway.core.settings.show import effective
from gateway.directory.presets.from_settings import schema_from
from gateway.directory.schema import Schema

FOLDER = "gateway-doctor"
_UNUSED = re.compile(r"\Anot used: .*(?= of \S+: )")
_PLAIN_WORDS = frozenset(
    ("person", "people", "group", "user", "mail", "the", "and", "test", "admin")
)
"""In somebody's name they tell nothing, and replaced everywhere they would make nonsense."""

_README = """\
What `gateway doctor` found of one person, made {when} by gateway {version}.

doctor.json         every step, what was found, how long it took, and what it comes to
configuration.json  every setting in force, with where it came from
status.json         `gateway status --json`; null: no gateway was running
root-dse.json       what each server of the directory shows of itself
schema.json         attributes and filters in force, of each directory
system.json         versions of the gateway, Python and the system

Not in it: passwords and other secrets (settings that are secrets say "(hidden)" or nothing), values
of attributes that the gateway does not use, mail, the log.

{names}
"""
_REDACTED = """\
Names of people and groups, mail addresses, domains, DNs, ids and addresses of clients were
replaced: the same one is the same word everywhere (person-1, domain-1, name-1). IP addresses of
hosts that listen or are asked, host names elsewhere, short subjects of certificates, paths of
files, names of attributes and the rest of what errors say are as they were.
Look through it before you pass it on."""
_WITH_NAMES = "Names and addresses of people are as they were (--with-names)."


def write_bundle(path: Path, found: Examination, loaded: Loaded, *, with_names: bool) -> None:
    """Raises: OSError, FileExistsError among them."""
    contents = _contents(found, loaded)
    if not with_names:
        redaction = _redaction(found, loaded)
        contents = {
            name: redaction.value(_without_values(value)) for name, value in contents.items()
        }
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    readme = _README.format(
        when=when,
        version=metadata.version("mail-gateway"),
        names=_WITH_NAMES if with_names else _REDACTED,
    )
    texts = {"README": readme} | {
        f"{name}.json": json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        for name, value in contents.items()
    }
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise click.UsageError(f"--bundle {path}: it is there, and is not overwritten") from None
    try:
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
            for name, text in texts.items():
                _add(tar, name, text)
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _add(tar: tarfile.TarFile, name: str, text: str) -> None:
    octets = text.encode("utf-8", "backslashreplace")
    info = tarfile.TarInfo(f"{FOLDER}/{name}")
    info.size = len(octets)
    info.mode = 0o600
    info.mtime = int(time.time())
    tar.addfile(info, io.BytesIO(octets))


def _contents(found: Examination, loaded: Loaded) -> Mapping[str, Any]:
    settings = loaded.settings
    return {
        "doctor": found.as_json(),
        "configuration": [asdict(each) for each in effective(loaded)],
        "status": found.status,
        "root-dse": found.roots,
        "schema": {
            name or "directory": _schema(schema_from(section, {}))
            for name, section in each_directory(settings)
        },
        "system": {
            "gateway": metadata.version("mail-gateway"),
            "twisted": metadata.version("twisted"),
            "python": sys.version,
            "system": " ".join((os.uname().sysname, os.uname().release, os.uname().machine)),
        },
    }


def _schema(schema: Schema) -> dict[str, Any]:
    """Filters as text; nothing of it is anybody's."""
    return {each.name: _plain(getattr(schema, each.name)) for each in fields(schema) if each.init}


def _plain(value: Any) -> Any:
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return getattr(value, "__name__", str(value))


# -- names


def _without_values(value: Any) -> Any:
    """Values of an entry that are not used may be written in any form; none of them is told."""
    if isinstance(value, str):
        return _UNUSED.sub("not used: a value", value)
    if isinstance(value, dict):
        return {key: _without_values(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_values(each) for each in value]
    return value


def _redaction(found: Examination, loaded: Loaded) -> Redaction:
    redaction = Redaction()
    settings = loaded.settings
    redaction.domains(_domains(loaded))
    names = [found.login, found.login.rpartition("\\")[2]]
    learnt = found.learnt
    if learnt is not None and learnt.account is not None:
        account = learnt.account
        names += [account.login, *account.addresses, account.display_name]
        parts = account.display_name.replace(",", " ").split()
        names += [each for each in parts if len(each) > 2 and each.lower() not in _PLAIN_WORDS]
        redaction.other("id", account.account_id)
    redaction.person(*dict.fromkeys(filter(None, names)))
    for step in found.steps:
        for row in _rows(step.facts, "groups"):
            redaction.other("group", str(row["name"]))
        for row in _rows(step.facts, "refusals"):
            redaction.other("client", str(row["from"]))
    for login in settings.submission.send_as:
        redaction.person(login)
    for _, section in each_directory(settings):
        if "," not in section.base_dn:  # a DN of one part is not known by its form
            redaction.other("name", section.base_dn.partition("=")[2].strip())
    for name in _owners(found.status or {}):
        redaction.other("name", name)
    return redaction


def _owners(status: Mapping[str, Any]) -> Iterator[str]:
    """People whom the picture of a directory names as examples."""
    for directory in status.get("directories", ()):
        picture = directory.get("picture") or {}
        yield from picture.get("unusable_examples", ())
        for shared in picture.get("shared", ()):
            yield from (shared["key"], *shared["owners"])


def _domains(loaded: Loaded) -> Iterator[str]:
    """The shortest first: what lies within one of them stays so."""
    settings = loaded.settings
    every = {each for domain, of in settings.domains.items() for each in (domain, *of.aliases)}
    for _, section in each_directory(settings):
        every |= {section.domain, *section.domains}
        labels = [
            part.partition("=")[2].strip()
            for part in section.base_dn.lower().split(",")
            if part.strip().startswith("dc=")
        ]
        every.add(".".join(labels))
    every.add(settings.hostname.partition(".")[2])
    known = (each for each in every if "." in each)
    yield from sorted(known, key=lambda each: (each.count("."), each))


def _rows(facts: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    rows = facts.get(key)
    return rows if isinstance(rows, list) else []
