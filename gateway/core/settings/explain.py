"""Mistakes in words: pydantic's errors and TOML's as key path, what was found, what is expected.

Owns what of a value is shown: never a password, also not one inside a URL or a whole table, nothing
unprintable, and at most SHOWN_CHARACTERS.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence

from pydantic_core import ErrorDetails

from gateway.core.settings import environment
from gateway.core.settings.model import Settings
from gateway.core.settings.policies import KINDS

SHOWN_CHARACTERS = 80

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_URL_PASSWORD = re.compile(r"(://[^/@]*?:).*@", re.DOTALL)
_LINE = re.compile(r"\(at line (\d+), column \d+\)")
_KEY_OF_LINE = re.compile(r"\s*([A-Za-z0-9_-]+)\s*=")

# What pydantic calls a mistake -> what we say is expected there.
_EXPECTED = {
    "string_type": "text in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "tuple_type": "a list such as [a, b]",
    "dict_type": "a table",
    "model_type": "a table",
    "model_attributes_type": "a table",
    "missing": "a value; this setting has no default",
}

_BOUNDS = {
    "greater_than_equal": ("ge", "a number of at least {}"),
    "greater_than": ("gt", "a number above {}"),
    "less_than_equal": ("le", "a number of at most {}"),
}

_KIND_AT = 3
"""Where pydantic says of which kind a check is: policies, its policy, number, kind."""

# Tables that are written in more than one way, and how.
_TABLES = {
    "listen": "tables that each begin with [[listen]]",
    "policies": "tables that each begin with [[policies.smtp]]",
    "domains": 'a table for each domain that begins with [domains."example.com"]',
}

# What tomllib says -> what people mean who write that.
_TOML_HINTS = (
    ("Invalid value", 'text in quotes ("…"), a number, true, false or a list [a, b]'),
    ("Expected newline or end of document", 'one value in a line; text stands in quotes ("…")'),
    ("Cannot overwrite a value", "each setting once"),
    ("Cannot declare", "each [table] once"),
    ("Illegal character", 'text in quotes that end in the same line ("…")'),
    ("Unescaped '\\'", "'…' around text with backslashes, or each of them twice"),
    ("Expected '='", 'lines such as hostname = "mail.example.com"'),
)


def join(prefix: str, key: str | int) -> str:
    """One step further in a key path, as TOML would write it: ``domains."example.com".relay``."""
    if isinstance(key, int):
        return f"{prefix}[{key}]"
    text = key if _BARE_KEY.match(key) else json.dumps(key)
    return f"{prefix}.{text}" if prefix else text


def explain(details: ErrorDetails) -> tuple[str, str, str]:
    """pydantic's error as key path, found, expected."""
    path = ""
    location = [part for part in details["loc"] if part != "[key]"]
    for at, part in enumerate(location):
        if not (location[0] == "policies" and at == _KIND_AT):
            path = join(path, part)
    kind = details["type"]
    found = show(details["input"], secret=str(location[-1]).endswith("password"))
    expected = _EXPECTED.get(kind, "")
    if kind == "missing":
        found = "nothing"
    elif kind == "extra_forbidden":
        found, expected = "an unknown key", _known_keys(location, details["input"])
    elif kind == "value_error":
        expected = str(details["ctx"]["error"])
    elif kind in ("union_tag_invalid", "union_tag_not_found"):
        path = join(path, "check")
        given = details["ctx"].get("tag")
        found = "nothing" if given is None else show(given)
        expected = "one of " + ", ".join(f'"{name}"' for name in KINDS)
        close = difflib.get_close_matches(str(given), KINDS, n=1)
        expected += f'; did you mean "{close[0]}"?' if close else ""
    elif kind == "literal_error":
        expected = details["ctx"]["expected"].replace("'", '"')
    elif kind in _BOUNDS:
        name, text = _BOUNDS[kind]
        expected = text.format(details["ctx"][name])
    elif kind == "tuple_type" and location[0] == "policies" and len(location) == _KIND_AT - 1:
        expected = f"tables that each begin with [[{path}]]"
    elif kind in ("tuple_type", "dict_type") and path in _TABLES:
        expected = _TABLES[path]
    elif expected == "a table" and all(isinstance(part, str) for part in location):
        expected = f"a table that begins with [{path}]"
    return path, found, expected or details["msg"]


def show(value: object, *, secret: bool = False) -> str:
    """A value as the file has it, without what nobody else may read."""
    if secret:
        return "a value (not shown)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        text = '"' + _URL_PASSWORD.sub(r"\1(not shown)@", value) + '"'
    elif isinstance(value, Mapping):
        return "a table"
    elif isinstance(value, Sequence) and any(isinstance(each, Mapping) for each in value):
        return "a list of tables"
    elif isinstance(value, Sequence):
        text = "[" + ", ".join(map(show, value)) + "]"
    else:
        text = str(value)
    if len(text) > SHOWN_CHARACTERS:
        text = text[: SHOWN_CHARACTERS - 1] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _known_keys(location: list[int | str], value: object) -> str:
    if location[0] == "domains" and isinstance(value, Mapping):
        return f'quotes around a domain with dots: [domains."{location[1]}.{location[2]}"]'
    section = environment.section_at(location[:-1])
    known = list(section.model_fields) if section is not None else []
    name = str(location[-1])
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f'one of this table\'s settings; did you mean "{close[0]}"?'
    if name in Settings.model_fields:
        return f'"{name}" above the first [table], as it belongs to none'
    return "one of " + ", ".join(known)


def explain_toml(error: tomllib.TOMLDecodeError, text: str) -> tuple[str, str, str]:
    """The parser's error as key (where the line tells it), found, expected."""
    message = str(error)
    line = _LINE.search(message)
    key = "(whole file)"
    if line is not None:
        key = f"line {line[1]}"
        # Split as tomllib counts; its position of a line end is that of the line before.
        written = _KEY_OF_LINE.match(text.split("\n")[int(line[1]) - 1])
        if written is not None:
            key = f"{key} ({written[1]})"
    hint = next((hint for start, hint in _TOML_HINTS if message.startswith(start)), "")
    return key, message, hint or "valid TOML 1.0"
