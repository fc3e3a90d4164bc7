"""From a TOML text and the environment to Settings, or to all mistakes at once.

Owns the order: file, then environment, then validation, contradictions and secrets from files. Does
no I/O itself: the text, the environment and a reader for secret files are given to it, because
nothing below ``app`` and ``cli`` may look at the machine (habit 14).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import SecretStr, ValidationError

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.settings import contradictions, environment
from gateway.core.settings.explain import explain, explain_toml, join
from gateway.core.settings.model import Settings
from gateway.core.settings.section import Section

DEFAULT_PATH = "/etc/gateway/gateway.toml"

_SECRETS = (
    ("directory", "bind_password"),
    ("oauth", "client_secret"),
    ("outbound", "smart_host_password"),
)
MAX_CHARACTERS = 1024 * 1024  # of a configuration; what is larger is another file
_MARK = "\ufeff"  # a byte order mark, which Windows' editors put first


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
    raw = _parse(text.removeprefix(_MARK), source) if text is not None else {}
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
            report(*explain(details))
    for key, found, expected in contradictions.find(raw):
        report(key, found, expected)
    secrets: dict[str, str] = {}
    for section, name in _SECRETS:
        path = (raw.get(section) or {}).get(f"{name}_file") if _is_table(raw, section) else None
        if isinstance(path, str) and path:
            try:
                secrets[f"{section}.{name}"] = read_secret(path).removeprefix(_MARK).rstrip("\r\n")
                origins[f"{section}.{name}"] = f"file {path}"
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "not UTF-8 text"
                # Some write the password itself here.
                shown = f'"{path}"' if "/" in path else "a name without folder, not shown"
                report(f"{section}.{name}_file", f"{shown} ({reason})", "a readable file")
    if problems or settings is None:
        raise SettingsError(problems)
    return Loaded(_with_secrets(settings, secrets), origins)


def _parse(text: str, source: str) -> dict[str, Any]:
    if len(text) > MAX_CHARACTERS:
        found, expected = f"{len(text)} characters", f"at most {MAX_CHARACTERS}"
        raise SettingsError([SettingsProblem(source, "(whole file)", found, expected)])
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = SettingsProblem(source, *explain_toml(error, text))
    except RecursionError:
        problem = SettingsProblem(source, "(whole file)", "brackets in brackets", "valid TOML 1.0")
    raise SettingsError([problem])


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
        if not (absent_by_design and any(name.startswith(environment.PREFIX) for name in environ)):
            expected = "a readable TOML file; another one is named with --config FILE"
            problem = SettingsProblem(source, "(whole file)", reason, expected)
            raise SettingsError([problem]) from None
        source = f"environment (there is no {source})"
    return load(text, source=source, environ=environ, read_secret=read_text)
