"""MTA-STS (RFC 8461): the record that announces a policy, the policy, and which hosts it allows.

Owns reading alone. Never fetches and never asks DNS. A policy that cannot be read whole is none,
as half of one may allow what the whole forbids.

Limits: MAX_POLICY_OCTETS, MAX_MX patterns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

MAX_POLICY_OCTETS = 65_536
"""RFC 8461 section 3.3 suggests 64 KB."""
MAX_MX = 500
MAX_AGE_S = 31_557_600  # section 3.2: about a year

# sts-text-record = sts-version 1*(sts-field-delim sts-field) [sts-field-delim]
_RECORD = re.compile(r"v=STSv1[ \t]*;(.*)", re.DOTALL)
# sts-id = "id" "=" 1*32(ALPHA / DIGIT)
# sts-extension = sts-ext-name "=" sts-ext-value
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([!-:<>-~]+)")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
# sts-policy-mx-value = ["*."] Domain; underscores are lenient.
_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_MX = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*\.?")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_MAX_AGE = re.compile(r"[0-9]{1,10}")


class Mode(Enum):
    """What follows from a host that does not fit (section 5)."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


class PolicyMalformed(ValueError):
    """Not a policy of section 3.2; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a domain demands.

    Args:
        mx: patterns of host names, lower case, without final dot; ``*.`` is one label.
        max_age_s: how long it may be kept.
    """

    mode: Mode
    mx: tuple[str, ...]
    max_age_s: int

    def allows(self, host: str) -> bool:
        """Whether mail may go to this host (section 4.1). Args: host: lower case."""
        _, _, parent = host.rstrip(".").partition(".")
        return any(
            parent == pattern[2:] if pattern.startswith("*.") else host.rstrip(".") == pattern
            for pattern in self.mx
        )

    @property
    def lines(self) -> tuple[str, ...]:
        """As reports show it (RFC 8460 section 4.4)."""
        patterns = (f"mx: {each}" for each in self.mx)
        head = ("version: STSv1", f"mode: {self.mode.value}")
        return (*head, *patterns, f"max_age: {self.max_age_s}")


def read_record(texts: Sequence[str]) -> str | None:
    """The policy's id by the TXT records at ``_mta-sts.``; None: there is no policy.

    Section 3.1: others than these are left out, and exactly one must remain, without a mistake.
    """
    records = [match for match in map(_RECORD.match, texts) if match is not None]
    if len(records) != 1:
        return None
    fields = [each.strip(" \t") for each in records[0][1].split(";")]
    if fields[-1] == "":
        fields.pop()
    identifiers: list[str] = []
    for field in fields:
        match = _FIELD.fullmatch(field)
        if match is None:
            return None
        if match[1] == "id":
            identifiers.append(match[2])
    if len(identifiers) != 1 or not _ID.fullmatch(identifiers[0]):
        return None
    return identifiers[0]


def read_policy(octets: bytes) -> Policy:
    """Raises: PolicyMalformed."""
    if len(octets) > MAX_POLICY_OCTETS:
        raise PolicyMalformed(f"longer than {MAX_POLICY_OCTETS} octets")
    try:
        text = octets.decode("utf-8")  # section 3.2: values of unknown keys may be UTF-8
    except UnicodeDecodeError:
        raise PolicyMalformed("not text in UTF-8") from None
    # Not splitlines: only LF and CRLF end a line.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    fields: dict[str, str] = {}
    patterns: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip(" \t"):
            continue
        key, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or not _KEY.fullmatch(key):
            raise PolicyMalformed(f"line {number} is no key with a value")
        if key == "mx":
            patterns.append(_pattern(value, number))
        else:
            fields.setdefault(key, value)  # section 3.2: but the first one is left out
    if not lines[0].startswith("version:") or fields["version"] != "STSv1":
        raise PolicyMalformed("it does not begin with version: STSv1")
    return _policy(fields, patterns)


def _pattern(value: str, number: int) -> str:
    pattern = value.lower()
    if len(pattern) > 255 or not _MX.fullmatch(pattern):
        raise PolicyMalformed(f"line {number} names no host")
    return pattern.rstrip(".")


def _policy(fields: dict[str, str], patterns: list[str]) -> Policy:
    try:
        mode = Mode(fields.get("mode", ""))
    except ValueError:
        raise PolicyMalformed("mode is none of enforce, testing, none") from None
    if not _MAX_AGE.fullmatch(fields.get("max_age", "")):
        raise PolicyMalformed("max_age is no number of seconds")
    if not patterns and mode is not Mode.NONE:
        raise PolicyMalformed("it names no host (mx)")
    if len(patterns) > MAX_MX:
        raise PolicyMalformed(f"it names more than {MAX_MX} hosts")
    return Policy(mode, tuple(patterns), min(int(fields["max_age"]), MAX_AGE_S))
