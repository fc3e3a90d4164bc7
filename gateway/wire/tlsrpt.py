"""Reports about TLS between servers (RFC 8460): the record that asks for them, and their forms.

Owns the reading of the record, the JSON of a report, and the message around it. Never counts, never
sends, never asks DNS.

Limits: MAX_RUA addresses of a record are used.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from enum import Enum
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

from gateway.core.address import Address
from gateway.wire.address import AddressSyntax, parse_mailbox

MAX_RUA = 4
DAY_S = 86_400


class ResultType(Enum):
    """What went wrong (section 4.3)."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION_FAILURE = "validation-failure"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"


PolicyType = Literal["sts", "tlsa", "no-policy-found"]


@dataclass(frozen=True, slots=True)
class Policy:
    """Under which sessions were counted (section 4.4).

    Args:
        lines: ``policy-string``: of the MTA-STS policy, or the TLSA records as text.
        domain: whose it is: with TLSA a host.
        mx_patterns: of the MTA-STS policy.
    """

    kind: PolicyType
    domain: str
    lines: tuple[str, ...] = ()
    mx_patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailureDetail:
    """Sessions that failed in the same way; what is empty is left out."""

    result: str
    sessions: int
    receiving_host: str = ""
    receiving_ip: str = ""
    sending_ip: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PolicyCount:
    """What happened in a day under one policy; ``failed`` counts also what has no detail."""

    policy: Policy
    successful: int
    failed: int
    details: tuple[FailureDetail, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """One domain's day.

    Args:
        day: days since 1970, UTC.
        submitter: the domain that reports: our host name.
        contact: an address for questions.
        report_id: the same whenever this report is made again, so that receivers can tell.
    """

    domain: str
    day: int
    organisation: str
    submitter: str
    contact: str
    report_id: str
    counts: tuple[PolicyCount, ...]

    @property
    def file_name(self) -> str:
        """Section 5.1, without the unique part, as there is one report a day."""
        begin = self.day * DAY_S
        return f"{self.submitter}!{self.domain}!{begin}!{begin + DAY_S - 1}.json.gz"


# -- the record

_RECORD = re.compile(r"v=TLSRPTv1[ \t]*;(.*)", re.DOTALL)
_RUA = re.compile(r"[ \t]*rua=(.*)", re.DOTALL)
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9.-]{1,253}")


@dataclass(frozen=True, slots=True)
class Destinations:
    """Where a domain wants its reports: addresses, and https URLs."""

    addresses: tuple[Address, ...]
    urls: tuple[str, ...]


def read_record(texts: Sequence[str]) -> Destinations | None:
    """What TXT at ``_smtp._tls.`` says; None: no reports are wanted, or nobody can tell where.

    Section 3: exactly one of the texts may be such a record.
    """
    records = [match for match in map(_RECORD.match, texts) if match is not None]
    if len(records) != 1:
        return None
    for field in records[0][1].split(";"):
        found = _RUA.match(field)
        if found is not None:
            # Each once, however often it is named.
            addresses: dict[Address, None] = {}
            urls: dict[str, None] = {}
            # ";", "," and "!" in URIs are encoded (section 3).
            for uri in found[1].split(",")[:MAX_RUA]:
                uri = uri.strip(" \t")
                scheme, _, rest = uri.partition(":")
                if scheme.lower() == "mailto":
                    address = _address(unquote(rest.partition("?")[0]))
                    if address is not None:
                        addresses[address] = None
                elif scheme.lower() == "https" and _is_url(uri):
                    urls[uri] = None
            return Destinations(tuple(addresses), tuple(urls)) if addresses or urls else None
    return None


def _address(text: str) -> Address | None:
    """A plain one, in ASCII and at a domain; None: it is none."""
    try:
        return parse_mailbox(text) if _ADDRESS.fullmatch(text) else None
    except AddressSyntax:
        return None


def _is_url(uri: str) -> bool:
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return False
    return (
        uri.isascii()
        and uri.isprintable()
        and " " not in uri
        and bool(parts.hostname)
        and parts.username is None
        and port in (None, 443)
    )


# -- the report


def render_json(report: Report) -> bytes:
    """Section 4.4, not compressed."""
    begin = datetime.fromtimestamp(0, UTC) + timedelta(days=report.day)
    end = begin + timedelta(seconds=DAY_S - 1)
    return json.dumps(
        {
            "organization-name": report.organisation,
            "date-range": {"start-datetime": _time(begin), "end-datetime": _time(end)},
            "contact-info": report.contact,
            "report-id": report.report_id,
            "policies": [_policy(each) for each in report.counts],
        },
        indent=1,
    ).encode()


def compressed(report: Report) -> bytes:
    """As it is sent: ``application/tlsrpt+gzip``; the same octets for the same report."""
    return gzip.compress(render_json(report), mtime=0)


def render_message(report: Report, *, sender: str, to: str, at: int) -> bytes:
    """The message that carries it (section 5.3), CRLF line ends.

    ``TLS-Required: No`` (RFC 8689 section 5), as it must arrive also where TLS is what is broken
    (section 3 of RFC 8460).
    """
    # Nothing in the parts can hold it: base64 has no hyphen, the words no such line.
    boundary = f"----=_{report.report_id.partition('@')[0]}"
    data = base64.encodebytes(compressed(report)).replace(b"\n", b"\r\n")
    lines = [
        f"From: {sender}",
        f"To: {to}",
        f"Date: {formatdate(at)}",
        f"Message-ID: <{report.report_id}>",
        f"Subject: Report Domain: {report.domain}",
        f" Submitter: {report.submitter}",
        f" Report-ID: <{report.report_id}>",
        f"TLS-Report-Domain: {report.domain}",
        f"TLS-Report-Submitter: {report.submitter}",
        "TLS-Required: No",
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type="tlsrpt";',
        f' boundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is a report about TLS from {report.submitter}: how connections to the",
        f"mail servers of {report.domain} went on {_date(report.day)} (UTC).",
        "The figures are in the attachment, as RFC 8460 describes it.",
        "",
        f"--{boundary}",
        "Content-Type: application/tlsrpt+gzip",
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f' filename="{report.file_name}"',
        "",
        "",
    ]
    return "\r\n".join(lines).encode("ascii") + data + f"\r\n--{boundary}--\r\n".encode("ascii")


def _policy(count: PolicyCount) -> dict[str, Any]:
    policy: dict[str, Any] = {"policy-type": count.policy.kind}
    if count.policy.lines:
        policy["policy-string"] = list(count.policy.lines)
    policy["policy-domain"] = count.policy.domain
    if count.policy.mx_patterns:
        policy["mx-host"] = list(count.policy.mx_patterns)
    rendered: dict[str, Any] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": count.successful,
            "total-failure-session-count": count.failed,
        },
    }
    if count.details:
        rendered["failure-details"] = [_detail(each) for each in count.details]
    return rendered


def _detail(detail: FailureDetail) -> dict[str, Any]:
    fields = {
        "result-type": detail.result,
        "sending-mta-ip": detail.sending_ip,
        "receiving-mx-hostname": detail.receiving_host,
        "receiving-ip": detail.receiving_ip,
        "failed-session-count": detail.sessions,
        "failure-reason-code": detail.reason,
    }
    return {name: value for name, value in fields.items() if value}


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(day: int) -> str:
    return (datetime.fromtimestamp(0, UTC) + timedelta(days=day)).strftime("%Y-%m-%d")
