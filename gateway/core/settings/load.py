"""From a TOML text and the environment to Settings, or to all mistakes at once.

Owns the order: file, then environment, then validation, contradictions and secrets from files. Does
no I/O itself: the text, the environment and a reader for secret files are given to it, because
nothing below ``app`` and ``cli`` may look at the machine (habit 14).
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_core import ErrorDetails

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.settings import contradictions, environment
from gateway.core.settings.model import Section, Settings

DEFAULT_PATH = "/etc/gateway/gateway.toml"

_SECRETS = (("directory", "bind_password"), ("outbound", "smart_host_password"))
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")

# What pydantic calls a mistake -> what we say is expected there.
_EXPECTED = {
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list such as [a, b]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "missing": "a value; this setting has no default",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and by full key path where each value that is not a default came from."""

    settings: Settings
    origins: Mapping[str, str]


def load(
    text: str | None,
    *,
    source: str,
    environ: Mapping[str, str],
    read_secret: Callable[[str], str],
) -> Loaded:
    """Validate a whole configuration.

    Args:
        text: the TOML file's content; None when there is no file and the environment has it all.
        source: the file's name for error lines.
        environ: all variables; those that begin with ``GATEWAY_`` count.
        read_secret: content of a secret file; raises OSError.

    Raises:
        SettingsError: with every problem found.
    """
    try:
        raw: dict[str, Any] = tomllib.loads(text) if text is not None else {}
    except tomllib.TOMLDecodeError as error:
        problem = SettingsProblem(source, "(whole file)", str(error), "valid TOML 1.0")
        raise SettingsError([problem]) from None
    origins = dict.fromkeys(_leaves(raw), source)
    problems = list(environment.merge(raw, environ, origins))

    def report(key: str, found: str, expected: str) -> None:
        origin = next((origins[k] for k in origins if k == key or k.startswith(f"{key}.")), source)
        problems.append(SettingsProblem(origin, key, found, expected))

    settings = None
    try:
        settings = Settings.model_validate(raw)
    except ValidationError as error:
        for details in error.errors():
            report(*_explain(details))
    for key, found, expected in contradictions.find(raw):
        report(key, found, expected)
    secrets: dict[str, str] = {}
    for section, name in _SECRETS:
        path = (raw.get(section) or {}).get(f"{name}_file") if _is_table(raw, section) else None
        if isinstance(path, str) and path:
            try:
                secrets[f"{section}.{name}"] = read_secret(path).rstrip("\r\n")
                origins[f"{section}.{name}"] = f"file {path}"
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "not UTF-8 text"
                report(f"{section}.{name}_file", f'"{path}" ({reason})', "a readable file")
    if problems or settings is None:
        raise SettingsError(problems)
    return Loaded(_with_secrets(settings, secrets), origins)


def _is_table(raw: Mapping[str, Any], section: str) -> bool:
    return isinstance(raw.get(section), Mapping)


def _with_secrets(settings: Settings, secrets: Mapping[str, str]) -> Settings:
    for path, secret in secrets.items():
        section, _, name = path.partition(".")
        changed: Section = getattr(settings, section).model_copy(update={name: SecretStr(secret)})
        settings = settings.model_copy(update={section: changed})
    return settings


def _leaves(raw: Mapping[str, Any], prefix: str = "") -> list[str]:
    paths: list[str] = []
    for key, value in raw.items():
        path = join(prefix, key)
        if isinstance(value, Mapping) and value:
            paths.extend(_leaves(value, path))
        else:
            paths.append(path)
    return paths


def join(prefix: str, key: str | int) -> str:
    """One step further in a key path, as TOML would write it: ``domains."example.com".relay``."""
    if isinstance(key, int):
        return f"{prefix}[{key}]"
    text = key if _BARE_KEY.match(key) else f'"{key}"'
    return f"{prefix}.{text}" if prefix else text


def _explain(details: ErrorDetails) -> tuple[str, str, str]:
    """pydantic's error as key path, found, expected."""
    path = ""
    location = [part for part in details["loc"] if part != "[key]"]
    for part in location:
        path = join(path, part)
    kind = details["type"]
    found = _show(details["input"], secret=str(location[-1]).endswith("password"))
    expected = _EXPECTED.get(kind, "")
    if kind == "missing":
        found = "nothing"
    elif kind == "extra_forbidden":
        found, expected = "an unknown key", _known_keys(location)
    elif kind == "value_error":
        expected = str(details["ctx"]["error"])
    elif kind == "literal_error":
        expected = details["ctx"]["expected"].replace("'", '"')
    elif not expected:
        message = details["msg"]
        expected = message.removeprefix("Input should be ") if "ctx" in details else message
    return path, found, expected


def _show(value: object, *, secret: bool) -> str:
    if secret:
        return "a value (not shown)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, Mapping):
        return "a table"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _known_keys(location: list[int | str]) -> str:
    section = environment.section_at(location[:-1])
    known = list(section.model_fields) if section is not None else []
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    if close:
        return f'one of this table\'s settings; did you mean "{close[0]}"?'
    return "one of " + ", ".join(known)


def load_from(
    path: str | None, environ: Mapping[str, str], read_text: Callable[[str], str]
) -> Loaded:
    """Validate the configuration file at ``path``, or at the default place when None.

    Without a file at the default place the environment may hold everything (containers).

    Args:
        read_text: content of a file; raises OSError.

    Raises:
        SettingsError: with every problem found.
    """
    source = path or DEFAULT_PATH
    text: str | None = None
    try:
        text = read_text(source)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        absent_by_design = path is None and isinstance(error, FileNotFoundError)
        if not (absent_by_design and any(name.startswith("GATEWAY_") for name in environ)):
            expected = "a readable TOML file; another one is named with --config FILE"
            problem = SettingsProblem(source, "(whole file)", reason, expected)
            raise SettingsError([problem]) from None
    return load(text, source=source, environ=environ, read_secret=read_text)
