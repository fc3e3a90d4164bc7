"""Reads parenthesised IMAP data back and checks it against the grammar of RFC 3501 section 9.

Independent of the renderers: strict where a client's parser would be, no tolerance.
"""

from __future__ import annotations

import re

Node = None | int | bytes | list["Node"]

_TOKEN = re.compile(rb'\(|\)| |NIL|\d+|"(?:[^"\\\r\n\0\x80-\xff]|\\["\\])*"|\{(\d+)\}\r\n')


def read(data: bytes) -> Node:
    """One value; fails on anything before, between or behind that the grammar does not have."""
    stack: list[list[Node]] = [[]]
    position = 0
    while position < len(data):
        found = _TOKEN.match(data, position)
        assert found is not None, data[position : position + 40]
        token = found[0]
        position = found.end()
        if token == b"(":
            stack.append([])
        elif token == b")":
            inner = stack.pop()
            stack[-1].append(inner)
        elif token == b"NIL":
            stack[-1].append(None)
        elif token.isdigit():
            stack[-1].append(int(token))
        elif token[:1] == b'"':
            stack[-1].append(re.sub(rb"\\(.)", rb"\1", token[1:-1]))
        elif token[:1] == b"{":
            literal = data[position : position + int(found[1])]
            assert len(literal) == int(found[1]) and b"\0" not in literal
            stack[-1].append(literal)
            position += len(literal)
        else:
            assert token == b" " and data[position : position + 1] not in (b" ", b")", b"")
    assert len(stack) == 1 and len(stack[0]) == 1, "parentheses do not balance"
    return stack[0][0]


def items(node: Node) -> list[Node]:
    assert isinstance(node, list)
    return node


def check_envelope(node: Node) -> None:
    fields = items(node)
    assert len(fields) == 10
    for index in (0, 1, 8, 9):
        assert fields[index] is None or isinstance(fields[index], bytes)
    for index in range(2, 8):
        if fields[index] is None:
            continue
        addresses = items(fields[index])
        assert addresses, "an empty list must be NIL"
        in_group = False
        for address in addresses:
            name, route, mailbox, host = items(address)
            assert all(part is None or isinstance(part, bytes) for part in (name, route))
            if host is None:
                # a group's begin has a name, its end has none; they alternate
                assert (mailbox is None) is in_group
                in_group = mailbox is not None
            else:
                assert isinstance(mailbox, bytes) and isinstance(host, bytes)
        assert not in_group


def check_body(node: Node, *, extended: bool) -> int:
    """Check a ``body`` and return how many parts it names."""
    fields = items(node)
    if isinstance(fields[0], list):
        children = [field for field in fields if isinstance(field, list)]
        count = next(i for i, field in enumerate(fields) if not isinstance(field, list))
        parts = sum(check_body(child, extended=extended) for child in children[:count])
        assert isinstance(fields[count], bytes)
        rest = fields[count + 1 :]
        if extended:
            check_parameters(rest[0])
            check_common_extension(rest[1:])
        else:
            assert not rest
        return parts + 1
    main, sub, parameters, content_id, description, encoding, octets = fields[:7]
    assert isinstance(main, bytes) and isinstance(sub, bytes) and isinstance(encoding, bytes)
    check_parameters(parameters)
    assert content_id is None or isinstance(content_id, bytes)
    assert description is None or isinstance(description, bytes)
    assert isinstance(octets, int)
    rest, parts = fields[7:], 1
    if (main, sub) == (b"message", b"rfc822"):
        check_envelope(rest[0])
        parts += check_body(rest[1], extended=extended)
        rest = rest[2:]
    if main == b"text" or (main, sub) == (b"message", b"rfc822"):
        assert isinstance(rest[0], int)
        rest = rest[1:]
    if extended:
        assert rest[0] is None or isinstance(rest[0], bytes)
        check_common_extension(rest[1:])
    else:
        assert not rest
    return parts


def check_parameters(node: Node) -> None:
    if node is None:
        return
    parameters = items(node)
    assert parameters and len(parameters) % 2 == 0
    assert all(isinstance(text, bytes) for text in parameters)


def check_common_extension(rest: list[Node]) -> None:
    disposition, languages, location = rest
    if disposition is not None:
        kind, parameters = items(disposition)
        assert isinstance(kind, bytes)
        check_parameters(parameters)
    if languages is not None:
        assert items(languages) and all(isinstance(tag, bytes) for tag in items(languages))
    assert location is None or isinstance(location, bytes)
