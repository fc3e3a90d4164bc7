"""Searching with the index finds what looking at every message finds: over real and odd messages.

Texts to search are cut from the messages themselves, at any place. The one rule of the index is
that it changes no answer.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.search import (
    And,
    DateIs,
    HasFlag,
    HeaderHas,
    Not,
    Or,
    SearchKey,
    SizeIs,
    TextHas,
    UidIn,
)
from gateway.store.search_index import documents
from gateway.wire.mime.summary import summarise
from gateway.wire.mime.text import body_text, header_text, header_values
from tests.store.searching import SearchHouse
from tests.support import corpus

SHARED_CORPUS_STEP = 16
"""One in so many of the shared corpus's messages, as each example looks at all of them."""


def mail(subject: str, text: str, kind: str = "text/plain", more: str = "") -> bytes:
    return (
        f"From: Ännchen <ann@example.test>\r\nTo: bob@example.test\r\nCc: carol@example.test\r\n"
        f"Subject: {subject}\r\n{more}Content-Type: {kind}; charset=utf-8\r\n\r\n{text}\r\n"
    ).encode()


ODD = [
    mail("Straße ẞ", "Die STRASSE und der Fuß, ŉ ǰ İstanbul ﬁn"),
    mail("cafe\u0301 café", "decomposed e\u0301a\u0300 é, soft\u00adhyphen, zero\u200bwidth"),
    mail("会议室", "今天的会议在三楼会议室举行，请准时参加。" + "漢字" * 200),
    mail("🙂🙃", "emoji 🙂 a🙂b 𝒜𝓁𝒾𝒸ℯ flags 🇩🇪 \0 nul a\0b"),
    mail("huge", "x" * 5_000 + "y" + "z" * 63 + " " + "w" * 64 + " " + "v" * 65),
    mail("html", "<p>one</p><p>two</p> wo<b>rd</b>s a<br>b &eacute;t <i>x</i>y", "text/html"),
    mail("folded\r\n over\r\n\ttwo lines", "a line\r\nsecond", more="X-Long: a b\r\n c d\r\n"),
    mail("under_score and-dash", "foo_bar foo-bar foo.bar foo@bar.example 192.0.2.1 C++ $5"),
    mail("repeated", "text", more="Subject: second subject\r\nX-Empty:\r\n: no name\r\n"),
    b"",
    b"\r\n",
    b"no header at all\r\n",
    b"Subject: only a header",
    b"Subject: \xff\xfe latin \xe9\r\n\r\nbody \xe9\xff\r\n",
    b"Subject: =?utf-8?q?in_the?= =?utf-8?q?_middle_of?= a word\r\n\r\nx\r\n",
    mail("numbers", "1234567 ² ½ ٣٤٥ Ⅷ 12_34 0x7f"),
]  # fmt: skip


def messages() -> list[bytes]:
    files = corpus.written_files() + corpus.cpython_files()
    files += corpus.corpus_files()[::SHARED_CORPUS_STEP]
    return ODD + [corpus.read(path) for path in files]


MESSAGES = messages()
NAMES = ("Subject", "from", "TO", "cc", "Message-ID", "Received", "x-long", "", "größe", "X_")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchHouse]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "DISTINCT_WORDS", 2_000)  # so that some messages pass it
        with SearchHouse(tmp_path_factory.mktemp("equal")) as house:
            for place, octets in enumerate(MESSAGES):
                house.append("INBOX", octets, flags=[["\\Seen"], [], ["Work"]][place % 3])
                if place == len(MESSAGES) // 3:
                    house.index()
            assert house.index() > 0
            for octets in ODD:
                house.append("INBOX", octets)  # these stay without index
            yield house


def texts_of(message: bytes, name: str) -> list[str]:
    return [
        header_text(message),
        body_text(message, summarise(message)),
        "\n".join(header_values(message, name)),
    ]


@st.composite
def leaves(draw: st.DrawFn) -> SearchKey:
    name = draw(st.sampled_from(NAMES))
    text = draw(st.sampled_from(texts_of(draw(st.sampled_from(MESSAGES)), name)))
    start = draw(st.integers(0, max(0, len(text) - 1)))
    length = draw(st.integers(0, 12) | st.integers(0, 90))
    searched = text[start : start + length]
    searched = draw(st.sampled_from([searched, searched.upper(), searched.swapcase(), "needle"]))
    keys: list[SearchKey] = [
        TextHas(searched, with_header=True),
        TextHas(searched, with_header=False),
        HeaderHas(name, searched),
    ]
    return draw(st.sampled_from(keys))


OTHERS: st.SearchStrategy[SearchKey] = st.sampled_from(
    [
        HasFlag("\\Seen"),
        HasFlag("work"),
        SizeIs(">", 900),
        UidIn(((5, 60),)),
        UidIn(tuple((uid, uid) for uid in range(1, 200, 3))),
        DateIs("sent", "<", 735_000),
    ]
)
KEYS = st.recursive(
    leaves() | leaves() | OTHERS,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(Or, inner, inner)
        | st.builds(And, st.lists(inner, max_size=3).map(tuple))
    ),
    max_leaves=4,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(key=KEYS)
def test_the_index_changes_no_answer(key: SearchKey, house: SearchHouse) -> None:
    assert house.search(key) == house.without_index(key)


@pytest.mark.parametrize(
    "text",
    ["strasse", "STRASSE", "ß", "fuss", "café", "cafe", "e\u0301a", "soft\u00adhyphen",
     "softhyphen", "会议", "会议室举行", "漢字" * 40, "字漢字", "🙂", "a🙂b", "𝓁𝒾𝒸", "a\0b",
     "x" * 64, "xyz", "x" * 100 + "yz", "w" * 64, "v" * 65, "v" * 66, "word", "words",
     "onetwo", "one two", "a b", "ét xy", "over two", "line\r\nsecond", "foo_bar",
     "foo-bar", "o.b", "@bar.ex", "192.0.2.1",
     "c++", "$5", "subject: second", ": second", "subject", "", " ", "\n", "in the middle of a",
     "½ ٣", "ⅷ", "latin é", "i\u0307stanbul", "fin", "hyphen, zero\u200bwidth"],
    ids=lambda text: ascii(text)[:24],
)  # fmt: skip
def test_odd_texts(text: str, house: SearchHouse) -> None:
    keys: list[SearchKey] = [
        TextHas(text, with_header=True),
        TextHas(text, with_header=False),
        HeaderHas("Subject", text),
        HeaderHas("X-Long", text),
    ]
    for key in keys:
        assert house.search(key) == house.without_index(key), key


def test_whole_real_messages_are_found_by_every_word_of_their_subject(house: SearchHouse) -> None:
    for message in MESSAGES[::30]:
        for value in header_values(message, "subject"):
            for word in value.split()[:4]:
                key = HeaderHas("Subject", word)
                assert house.search(key) == house.without_index(key), key
