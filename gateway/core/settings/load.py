"""From a TOML text and the environment to Settings, or to all mistakes at once.

Owns the order: file, then environment, then validation, contradictions and secrets from files. Does
no I/O itself: the text, the environment and a reader for secret files are given to it, because
nothing below ``app`` and ``cli`` may look at the machine (habit 14).
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError

from gateway.core.errors import SettingsError, SettingsProblem
from gateway.core.settings import contradictions, environment
from gateway.core.settings.explain import explain, explain_toml, join
from gateway.core.settings.model import Settings
from gateway.core.settings.paths import DEFAULT_PATH
from gateway.core.settings.section import Section

_Path = tuple[str, ...]
Settled = TypeVar("Settled", bound=Section)

_SECRETS: tuple[_Path, ...] = (
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
    secrets: dict[_Path, str] = {}
    for section, path in _secret_files(raw):
        try:
            secrets[section] = read_secret(path).removeprefix(_MARK).rstrip("\r\n")
            origins[_key(section)] = f"file {path}"
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            # Some write the password itself here.
            shown = f'"{path}"' if "/" in path else "a name without folder, not shown"
            report(f"{_key(section)}_file", f"{shown} ({reason})", "a readable file")
    if problems or settings is None:
        raise SettingsError(problems)
    for section, secret in secrets.items():
        settings = _with_secret(settings, section, secret)
    return Loaded(settings, origins)


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


def _secret_files(raw: Mapping[str, Any]) -> Iterator[tuple[_Path, str]]:
    """Secrets of the settings with the files that hold them."""
    places = [(path, raw.get(path[0])) for path in _SECRETS]
    outbound = raw.get("outbound")
    logins = outbound.get("logins") if isinstance(outbound, Mapping) else None
    if isinstance(logins, Mapping):
        places += [(("outbound", "logins", each, "password"), logins[each]) for each in logins]
    for path, section in places:
        file = section.get(f"{path[-1]}_file") if isinstance(section, Mapping) else None
        if isinstance(file, str) and file:
            yield path, file


def _key(path: _Path) -> str:
    return functools.reduce(join, path)


def _with_secret(section: Settled, path: Sequence[str], secret: str) -> Settled:
    name, *rest = path
    value: Any = SecretStr(secret)
    if rest:
        value = getattr(section, name)
        if isinstance(value, Mapping):
            key, *rest = rest
            value = {**value, key: _with_secret(value[key], rest, secret)}
        else:
            value = _with_secret(value, rest, secret)
    return section.model_copy(update={name: value})


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
