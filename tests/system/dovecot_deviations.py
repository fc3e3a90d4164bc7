"""Messages about which the gateway and Dovecot 2.3 say different things, with the reason for each.

A message stands here for what is named in its group only; all else about it is compared. Every one
of them is broken, or the standards leave room; where one of the two servers is right, it says so.
"""

from __future__ import annotations

from typing import NamedTuple

HEADERS, ENVELOPES, STRUCTURES, PARTS = "headers", "envelopes", "structures", "parts"


class Deviation(NamedTuple):
    """Why, in what, and which messages."""

    reason: str
    aspects: tuple[str, ...]
    names: str


DEVIATIONS = (
    Deviation(
        "a line that is no field ends the header here, as for CPython; Dovecot reads on",
        (HEADERS, ENVELOPES, STRUCTURES, PARTS),
        "barelf-cr no-headers msg_19 msg_25 msg_35 cpython-0025 cpython-0035 enmime-0004 james-0034"
        " james-0043 james-0045 james-0068 mime4j-0053 mime4j-0059",
    ),
    Deviation(
        "the same in the header of a part",
        (STRUCTURES, PARTS),
        "msg_38 msg_47 cpython-0047 enmime-0005 imap_tools-0055 james-0075 mailparser-0055"
        " mailparser-0062 mailparser-0102 mime4j-0001 mime4j-0047 mime4j-0050 mime4j-0051"
        " mimekit-0035 sisimai-0202 sisimai-0350 sisimai-0534 sisimai-0604",
    ),
    Deviation(
        "a message without body and empty line: none is added (RFC 3501 section 6.4.5)",
        (HEADERS,),
        "header-only",
    ),
    Deviation("a line of mbox before the header is no field here", (HEADERS, STRUCTURES), "msg_43"),
    Deviation(
        "a multipart whose boundary is missing or never comes is text here, for Dovecot a"
        " multipart with one empty part",
        (STRUCTURES, PARTS),
        "missing-boundary msg_17 msg_31 msg_41 cpython-0031 cpython-0041 imap_tools-0043"
        " imap_tools-0048 mailparser-0056 mailparser-0070 mime4j-0062 mime4j-0073 sisimai-0058"
        " sisimai-0280 sisimai-0552 sisimai-0560 stalwart-0001",
    ),
    Deviation(
        "delimiters compared as a whole line here; for Dovecot what begins with the boundary",
        (STRUCTURES, PARTS),
        "boundary-prefix mime4j-0074 mimekit-0005",
    ),
    Deviation(
        "delimiters that follow each other directly are one here",
        (STRUCTURES, PARTS),
        "msg_37 cpython-0037",
    ),
    Deviation(
        "the line end before a delimiter belongs to it (RFC 2046 section 5.1.1); Dovecot counts it"
        " to a multipart that was closed on the line before",
        (STRUCTURES, PARTS),
        "calendar-invite enmime-0038 enmime-0081 forwarded-twice imap_tools-0003 mailparser-0085"
        " mailparser-0095 mime4j-0055 mox-0059 sisimai-0204 sisimai-0209 sisimai-0210 sisimai-0211"
        " sisimai-0215 sisimai-0496 sisimai-0591 stalwart-0011 stalwart-0143",
    ),
    Deviation(
        "a part without body: the empty line ends its header here, Dovecot has it in neither",
        (PARTS,),
        "msg_12 cpython-0012 mailparser-0074 mailparser-0075 mime4j-0064 mime4j-0066 mime4j-0067"
        " sisimai-0272",
    ),
    Deviation(
        "a Content-Type that cannot be read is text/plain here (RFC 2045 section 5.2)",
        (STRUCTURES,),
        "msg_14 cpython-0015 enmime-0065 enmime-0066 sisimai-0483",
    ),
    Deviation(
        "broken parameters: missing quotes and semicolons, blanks, comments",
        (STRUCTURES,),
        "enmime-0041 enmime-0072 enmime-0086 james-0062 mailparser-0078 rubymail-0012"
        " stalwart-0003",
    ),
    Deviation(
        "an extended parameter keeps its asterisk and its encoding (RFC 2231); Dovecot joins them"
        " half decoded, and does not find a boundary written so",
        (STRUCTURES, PARTS),
        "msg_29 msg_33 cpython-0033 rfc2231-names",
    ),
    Deviation(
        "transfer encodings that do not exist",
        (STRUCTURES,),
        "imap_tools-0032 imap_tools-0034 mailparser-0091",
    ),
    Deviation(
        "dispositions that are empty or given twice",
        (STRUCTURES,),
        "enmime-0030 imap_tools-0044 imap_tools-0046",
    ),
    Deviation(
        "of a field that must not be repeated the first counts here, for Dovecot the last",
        (ENVELOPES, STRUCTURES, PARTS),
        "duplicate-fields imap_tools-0058 imap_tools-0061 sisimai-0225 sisimai-0226",
    ),
    Deviation(
        "display names: a comment as the name, names without quotes",
        (ENVELOPES, STRUCTURES),
        "groups imap_tools-0076 james-0094 sisimai-0005 sisimai-0017 sisimai-0410 sisimai-0581"
        " stalwart-0040",
    ),
    Deviation(
        "addresses that are broken or empty, groups behind groups",
        (ENVELOPES,),
        "imap_tools-0043 imap_tools-0051 james-0093 mimekit-0011 sisimai-0471 sisimai-0472"
        " stalwart-0011 stalwart-0143",
    ),
)


def deviating(aspect: str) -> frozenset[str]:
    """Names, without their suffix, of the messages not compared in this aspect."""
    return frozenset(
        name for one in DEVIATIONS if aspect in one.aspects for name in one.names.split()
    )
