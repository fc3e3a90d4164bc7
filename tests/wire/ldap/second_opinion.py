"""A second opinion on octets: what pyasn1 makes of messages by ldap3's description of RFC 4511."""

from __future__ import annotations

from typing import Any

from ldap3.protocol import rfc4511
from pyasn1.codec.ber import decoder, encoder
from pyasn1.type import tag

from gateway.wire.ldap.messages import (
    BindResponse,
    Control,
    ExtendedResponse,
    IntermediateResponse,
    Received,
    Result,
    SearchDone,
    SearchEntry,
    SearchReference,
)


def decoded(octets: bytes) -> Any:
    """The LDAPMessage, and nothing behind it."""
    message, rest = decoder.decode(octets, asn1Spec=rfc4511.LDAPMessage())
    assert rest == b""
    return message


def encoded(received: Received) -> bytes:
    message = rfc4511.LDAPMessage()
    message["messageID"] = received.message_id
    name, made = _MAKERS[type(received.response)](received.response)
    message["protocolOp"][name] = made
    if received.controls:
        message["controls"] = _controls(received.controls)
    return encoder.encode(message)  # type: ignore[no-any-return]


def _controls(controls: tuple[Control, ...]) -> Any:
    made = rfc4511.Controls().subtype(
        implicitTag=tag.Tag(tag.tagClassContext, tag.tagFormatConstructed, 0)
    )
    for at, control in enumerate(controls):
        each = rfc4511.Control()
        each["controlType"] = control.oid.encode()
        each["criticality"] = control.critical
        if control.value is not None:
            each["controlValue"] = control.value
        made[at] = each
    return made


def _with_result(made: Any, result: Result) -> Any:
    made["resultCode"] = result.code
    made["matchedDN"] = result.matched_dn.encode()
    made["diagnosticMessage"] = result.diagnostic.encode()
    for at, uri in enumerate(result.referrals):
        made["referral"][at] = uri.encode()
    return made


def _entry(entry: SearchEntry) -> tuple[str, Any]:
    made = rfc4511.SearchResultEntry()
    made["object"] = entry.dn.encode()
    attributes = rfc4511.PartialAttributeList()
    attributes.clear()
    for at, (name, values) in enumerate(entry.attributes.items()):
        each = rfc4511.PartialAttribute()
        each["type"] = name.encode()
        each["vals"].clear()
        for index, value in enumerate(values):
            each["vals"][index] = value
        attributes[at] = each
    made["attributes"] = attributes
    return "searchResEntry", made


def _reference(reference: SearchReference) -> tuple[str, Any]:
    made = rfc4511.SearchResultReference()
    for at, uri in enumerate(reference.uris):
        made[at] = uri.encode()
    return "searchResRef", made


def _bind(response: BindResponse) -> tuple[str, Any]:
    made = _with_result(rfc4511.BindResponse(), response.result)
    if response.credentials is not None:
        made["serverSaslCreds"] = response.credentials
    return "bindResponse", made


def _extended(response: ExtendedResponse) -> tuple[str, Any]:
    made = _with_result(rfc4511.ExtendedResponse(), response.result)
    if response.oid:
        made["responseName"] = response.oid.encode()
    if response.value is not None:
        made["responseValue"] = response.value
    return "extendedResp", made


def _intermediate(response: IntermediateResponse) -> tuple[str, Any]:
    made = rfc4511.IntermediateResponse()
    if response.oid:
        made["responseName"] = response.oid.encode()
    if response.value is not None:
        made["responseValue"] = response.value
    return "intermediateResponse", made


_MAKERS: dict[type, Any] = {
    SearchEntry: _entry,
    SearchReference: _reference,
    SearchDone: lambda done: (
        "searchResDone",
        _with_result(rfc4511.SearchResultDone(), done.result),
    ),
    BindResponse: _bind,
    ExtendedResponse: _extended,
    IntermediateResponse: _intermediate,
}
