"""The tree of parts: delimiters, preambles, nesting, and where each part ends."""

from __future__ import annotations

from gateway.wire.mime.budget import Budget
from gateway.wire.mime.structure import Part, scan

Tree = str | tuple[str, list["Tree"]]


def crlf(text: bytes) -> bytes:
    return text.replace(b"\n", b"\r\n")


def tree(part: Part) -> Tree:
    name = f"{part.media.main.decode()}/{part.media.sub.decode()}"
    return (name, [tree(child) for child in part.children]) if part.children else name


def leaves(message: bytes) -> list[bytes]:
    """The bodies of all leaves, in order."""
    found: list[bytes] = []
    waiting = [scan(message, Budget())]
    while waiting:
        part = waiting.pop()
        if part.children:
            waiting += reversed(part.children)
        else:
            found.append(message[part.body_start : part.body_end])
    return found


def multipart(body: bytes, boundary: bytes = b"b") -> bytes:
    return crlf(b"Content-Type: multipart/mixed; boundary=" + boundary + b"\n\n" + body)


def test_preamble_epilogue_and_the_line_end_before_a_delimiter() -> None:
    message = multipart(b"pre\n--b\n\none\n\n--b\n\n\n--b--\nepi\n--b\n\nno part\n")
    assert leaves(message) == [b"one\r\n", b""]


def test_body_right_at_the_delimiter_is_empty() -> None:
    message = multipart(b"--b\n\n--b\nA: b\n\n--b\nA: b\n--b--\n")
    assert leaves(message) == [b"", b"", b""]


def test_bare_lf_and_missing_final_line_end() -> None:
    message = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n\ntwo"
    assert leaves(message) == [b"one", b"two"]
    assert leaves(message + b"\n--b--") == [b"one", b"two"]


def test_M3_no_boundary_empty_boundary_or_none_that_appears() -> None:
    for header in (
        b"multipart/mixed",
        b'multipart/mixed; boundary=""',
        b'multipart/mixed; boundary="  "',
        b"multipart/mixed; boundary=absent",
        b"multipart/mixed; boundary=" + b"x" * 1000,
    ):
        message = b"Content-Type: " + header + b"\r\n\r\n--\r\n--b\r\n\r\ntext\r\n--b--\r\n"
        part = scan(message, Budget())
        assert tree(part) == "text/plain"
        assert leaves(message) == [b"--\r\n--b\r\n\r\ntext\r\n--b--\r\n"]


def test_M3_closed_without_parts_gets_one_empty_part() -> None:
    assert tree(scan(multipart(b"pre\n--b--\nepi\n"), Budget())) == (
        "multipart/mixed",
        ["text/plain"],
    )
    assert leaves(multipart(b"pre\n--b--\nepi\n")) == [b""]


def test_delimiters_that_follow_each_other_directly_are_one() -> None:
    assert leaves(multipart(b"--b\n--b\n\none\n--b\n--b\n--b\n\ntwo\n--b\n--b--\n")) == [
        b"one",
        b"two",
    ]
    assert leaves(multipart(b"--b\n--b--\n")) == [b""]
    digest = multipart(b"--b\n--b\n\nA: b\n\none\n--b\n--b--\n").replace(b"mixed", b"digest")
    assert leaves(digest) == [b"one"]


def test_M3_long_and_odd_boundaries() -> None:
    for boundary in (b"x" * 71, b"x" * 200, b"\xe4\xf6", b"a'()+_,-./:=?", b"a b", b"--", b"-"):
        message = multipart(
            b"--" + boundary + b"\n\none\n--" + boundary + b"--\n", b'"' + boundary + b'"'
        )
        assert leaves(message) == [b"one"], boundary


def test_M3_trailing_blanks_behind_a_delimiter() -> None:
    assert leaves(multipart(b"--b \t \n\none\n--b  \n\ntwo\n--b-- \n", b'"b  "')) == [
        b"one",
        b"two",
    ]


def test_M3_a_delimiter_is_a_whole_line() -> None:
    assert leaves(multipart(b"--b\n\none\n--bc\n --b\nx--b\n--b-\n--b\n--b--\n"))[0] == crlf(
        b"one\n--bc\n --b\nx--b\n--b-"
    )


def test_M3_boundaries_that_are_prefixes_of_each_other() -> None:
    message = multipart(
        b"--b\nContent-Type: multipart/mixed; boundary=bb\n\n--bb\n\none\n--bb--\n"
        b"--b\n\ntwo\n--b--\n"
    )
    assert leaves(message) == [b"one", b"two"]
    message = multipart(
        b"--bb\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--bb\n\ntwo\n--bb--\n",
        b"bb",
    )
    assert leaves(message) == [b"one", b"two"]


def test_M3_the_same_boundary_for_nested_multiparts() -> None:
    message = multipart(
        b"--b\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b--\n--b\n\ntwo\n--b--\n"
    )
    assert tree(scan(message, Budget())) == (
        "multipart/mixed",
        [("multipart/mixed", ["text/plain"]), "text/plain"],
    )
    assert leaves(message) == [b"one", b"two"]


def test_M3_never_closed_inner_multipart_ends_at_the_outer_delimiter() -> None:
    message = multipart(
        b"--b\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\none\n"
        b"--b\n\ntwo\n--i\nstill two\n"
    )
    assert leaves(message) == [b"one", crlf(b"two\n--i\nstill two\n")]


def test_M3_delimiter_look_alike_inside_base64() -> None:
    message = multipart(b"--b\nContent-Transfer-Encoding: base64\n\nQUJD\n--bQUJD\nQUJD\n--b--\n")
    assert leaves(message) == [crlf(b"QUJD\n--bQUJD\nQUJD")]


def test_a_delimiter_with_a_colon_ends_a_header() -> None:
    message = multipart(b"--b:c\nA: b\n--b:c\n\ntwo\n--b:c--\n", b'"b:c"')
    assert leaves(message) == [b"", b"two"]
    # while a field that only looks like one is a field
    assert leaves(multipart(b"--b\n--x: y\n\none\n--b--\n")) == [b"one"]


def test_header_of_a_part_without_empty_line() -> None:
    message = multipart(b"--b\nContent-Type: text/html\n<p>text\n--b--\n")
    assert leaves(message) == [b"<p>text"]


def test_messages_inside_messages() -> None:
    message = crlf(
        b"Content-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=b\n\n"
        b"--b\nContent-Type: message/rfc822\n\nSubject: deep\n\nbody\n--b--\n"
    )
    part = scan(message, Budget())
    assert tree(part) == (
        "message/rfc822",
        [("multipart/mixed", [("message/rfc822", ["text/plain"])])],
    )
    (outer,) = part.children
    (deep,) = outer.children[0].children
    assert deep.fields[b"subject"] == b"deep"
    assert outer.header_start == part.body_start and outer.body_end == part.body_end


def test_parts_of_a_digest_are_messages_by_default() -> None:
    message = crlf(
        b"Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\n\ny\n"
        b"--b\nContent-Type: text/plain\n\nz\n--b--\n"
    )
    assert tree(scan(message, Budget())) == (
        "multipart/digest",
        [("message/rfc822", ["text/plain"]), "text/plain"],
    )


def test_lines_are_counted_exactly() -> None:
    message = crlf(
        b"Content-Type: multipart/mixed; boundary=b\n\npre\n--b\n\none\ntwo\n\n--b\n"
        b"Content-Type: message/rfc822\n\nA: b\nC: d\n\n1\n2\n3\n--b--\nepilogue\n"
    )
    part = scan(message, Budget())
    text, wrapped = part.children
    assert (text.lines, wrapped.lines, wrapped.children[0].lines) == (2, 5, 2)
    assert part.lines == message[part.body_start :].count(b"\n")
