"""One complete command's octets into its value: the verbs and their arguments.

Owns the grammar of every command but FETCH's items and SEARCH's keys, which have files of their
own. Knows nothing of states or permission: every command is parsed in every state, within the
limits of the reader.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.wire.imap import commands, dates, fetch_parse, flags, names, search_parse
from gateway.wire.imap.commands import Command
from gateway.wire.imap.lexer import Cursor, Refusal, name_refusal

MAX_TAG_OCTETS = 128
MAX_LIST_PATTERNS = 50
MAX_ID_PAIRS, MAX_ID_KEY_OCTETS, MAX_ID_VALUE_OCTETS = 30, 30, 1024  # RFC 2971 section 3.3

# tag = 1*<any ASTRING-CHAR except "+">
_TAG = re.compile(rb'([^\x00-\x20\x7f-\xff(){%%*"\\+]{1,%d}) ' % MAX_TAG_OCTETS)
_BASE64 = re.compile(rb"[A-Za-z0-9+/=]+")
_DATE_TIME = re.compile(rb'"([^"\\\r\n]{26})"')

_RETURN_OPTIONS = frozenset({"SUBSCRIBED", "CHILDREN", "SPECIAL-USE"})

Parser = Callable[[bytes, Cursor], Command]


def tag_of(line: bytes | bytearray) -> bytes | None:
    """The tag a line starts with, or None: what an answer to a broken command needs."""
    match = _TAG.match(line)
    return bytes(match[1]) if match else None


def verb_of(line: bytes | bytearray) -> bytes:
    """The word behind the tag, in upper case; empty if there is none."""
    match = _TAG.match(line)
    if match is None:
        return b""
    return bytes(line[match.end() : match.end() + 20]).split(b" ", 1)[0].upper()


def parse(tag: bytes, cursor: Cursor) -> Command:
    """The command behind the tag and its space, up to the end of the octets.

    Raises: Refusal.
    """
    verb = cursor.keyword("a command is missing")
    parser = _VERBS.get(verb)
    if parser is None:
        raise Refusal("command not known")
    command = parser(tag, cursor)
    cursor.end()
    return command


def parse_append_head(tag: bytes, cursor: Cursor) -> commands.Append:
    """APPEND up to where its message starts: the cursor stands behind the verb.

    ``append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal``
    """
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    found = frozenset[str]()
    if cursor.peek(b"("):
        found = flags.parse_flag_list(cursor)
        cursor.space()
    when: int | None = None
    if cursor.peek(b'"'):
        match = _DATE_TIME.match(cursor.data, cursor.position)
        when = dates.parse_date_time(match[1]) if match else None
        if match is None or when is None:
            raise Refusal("date is broken")
        cursor.position = match.end()
        cursor.space()
    cursor.end()
    return commands.Append(tag, mailbox, found, when)


def _append_without_message(tag: bytes, cursor: Cursor) -> Command:
    raise Refusal("APPEND needs the message as a literal")


def _bare(kind: type[Command]) -> Parser:
    return lambda tag, cursor: kind(tag)


def _login(tag: bytes, cursor: Cursor) -> Command:
    cursor.space()
    username = cursor.astring()
    cursor.space()
    password = cursor.astring()
    try:
        return commands.Login(tag, username.decode("utf-8"), password)
    except UnicodeDecodeError:
        raise Refusal("user name is not UTF-8") from None


def _authenticate(tag: bytes, cursor: Cursor) -> Command:
    cursor.space()
    mechanism = cursor.keyword("a mechanism is missing")
    initial = None
    if cursor.skip(b" "):  # RFC 4959 section 3: initial-resp = (base64 / "=")
        match = _BASE64.match(cursor.data, cursor.position)
        if match is None:
            raise Refusal("initial response is not base64")
        cursor.position = match.end()
        initial = match[0]
    return commands.Authenticate(tag, mechanism, initial)


def _one_mailbox(
    kind: Callable[[bytes, str], Command], *, creating: bool = False
) -> Callable[[bytes, Cursor], Command]:
    def parser(tag: bytes, cursor: Cursor) -> Command:
        cursor.space()
        return kind(tag, cursor.mailbox(creating=creating))

    return parser


def _rename(tag: bytes, cursor: Cursor) -> Command:
    cursor.space()
    old = cursor.mailbox()
    cursor.space()
    return commands.Rename(tag, old, cursor.mailbox())


def _list_text(data: bytes) -> str:
    try:
        return names.decode_text(data)
    except names.NameRefused as refused:
        raise name_refusal(refused) from None


def _list(tag: bytes, cursor: Cursor) -> Command:
    cursor.space()
    reference = _list_text(cursor.astring())
    cursor.space()
    patterns = []
    if cursor.skip(b"("):  # RFC 5258 section 6: several patterns
        while True:
            patterns.append(_list_text(cursor.list_mailbox()))
            if len(patterns) > MAX_LIST_PATTERNS:
                raise Refusal("too many mailbox patterns", "LIMIT", "NO")
            if not cursor.skip(b" "):
                break
        cursor.expect(b")", "list of patterns is broken")
    else:
        patterns.append(_list_text(cursor.list_mailbox()))
    options: tuple[str, ...] = ()
    if cursor.skip(b" "):
        if cursor.keyword() != "RETURN":
            raise Refusal("unexpected text after the command")
        cursor.space()
        cursor.expect(b"(", "a list of return options is missing")
        options = _words(cursor, "return option not known", _RETURN_OPTIONS)
    return commands.List(tag, reference, tuple(patterns), False, options)


def _words(cursor: Cursor, otherwise: str, known: frozenset[str]) -> tuple[str, ...]:
    """``[word *(SP word)] ")"`` without repeats; the opening parenthesis is behind us."""
    found: dict[str, None] = {}
    if cursor.skip(b")"):
        return ()
    while True:
        word = cursor.keyword(otherwise)
        if word not in known:
            raise Refusal(otherwise)
        found[word] = None
        if not cursor.skip(b" "):
            break
    cursor.expect(b")", "list is broken")
    return tuple(found)


def _lsub(tag: bytes, cursor: Cursor) -> Command:
    cursor.space()
    reference = _list_text(cursor.astring())
    cursor.space()
    return commands.List(tag, reference, (_list_text(cursor.list_mailbox()),), True)


_STATUS_ITEMS = frozenset(item.name for item in commands.StatusItem)


def _status(tag: bytes, cursor: Cursor) -> Command:
    cursor.space()
    mailbox = cursor.mailbox()
    cursor.space()
    cursor.expect(b"(", "a list of status items is missing")
    items = _words(cursor, "status item not known", _STATUS_ITEMS)
    if not items:
        raise Refusal("a status item is missing")
    return commands.Status(tag, mailbox, tuple(commands.StatusItem[item] for item in items))


def _id(tag: bytes, cursor: Cursor) -> Command:
    cursor.space()
    if not cursor.skip(b"("):
        if cursor.keyword("a list or NIL is missing") != "NIL":
            raise Refusal("a list or NIL is missing")
        return commands.Id(tag, None)
    pairs: list[tuple[str, str | None]] = []
    if cursor.skip(b")"):
        return commands.Id(tag, ())
    while True:
        key = cursor.string()
        cursor.space()
        value = cursor.nstring()
        if len(key) > MAX_ID_KEY_OCTETS or len(value or b"") > MAX_ID_VALUE_OCTETS:
            raise Refusal("ID field too long")
        pairs.append((_id_text(key), None if value is None else _id_text(value)))
        if len(pairs) > MAX_ID_PAIRS:
            raise Refusal("too many ID fields")
        if not cursor.skip(b" "):
            break
    cursor.expect(b")", "list of ID fields is broken")
    return commands.Id(tag, tuple(pairs))


def _id_text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _search(tag: bytes, cursor: Cursor, *, uid: bool = False) -> Command:
    cursor.space()
    return commands.Search(tag, search_parse.parse(cursor), uid)


def _fetch(tag: bytes, cursor: Cursor, *, uid: bool = False) -> Command:
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    return commands.Fetch(tag, numbers, fetch_parse.parse(cursor, uid=uid), uid)


def _store(tag: bytes, cursor: Cursor, *, uid: bool = False) -> Command:
    """``store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))``"""
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    name, dot, suffix = cursor.keyword("FLAGS is missing").partition(".")
    try:
        mode = commands.StoreMode(name)
    except ValueError:
        raise Refusal("FLAGS is missing") from None
    if dot and suffix != "SILENT":
        raise Refusal("FLAGS is missing")
    cursor.space()
    found = flags.parse_store_flags(cursor)
    return commands.Store(tag, numbers, mode, found, bool(dot), uid)


def _copy(
    tag: bytes,
    cursor: Cursor,
    *,
    uid: bool = False,
    kind: type[commands.Copy | commands.Move] = commands.Copy,
) -> Command:
    cursor.space()
    numbers = cursor.sequence_set()
    cursor.space()
    return kind(tag, numbers, cursor.mailbox(), uid)


def _move(tag: bytes, cursor: Cursor, *, uid: bool = False) -> Command:
    return _copy(tag, cursor, uid=uid, kind=commands.Move)


def _uid(tag: bytes, cursor: Cursor) -> Command:
    """RFC 3501 section 6.4.8, with EXPUNGE (RFC 4315) and MOVE (RFC 6851)."""
    cursor.space()
    verb = cursor.keyword("a command is missing")
    match verb:
        case "FETCH":
            return _fetch(tag, cursor, uid=True)
        case "STORE":
            return _store(tag, cursor, uid=True)
        case "SEARCH":
            return _search(tag, cursor, uid=True)
        case "COPY":
            return _copy(tag, cursor, uid=True)
        case "MOVE":
            return _move(tag, cursor, uid=True)
        case "EXPUNGE":
            cursor.space()
            return commands.Expunge(tag, cursor.sequence_set())
    raise Refusal("command not known")


_VERBS: dict[str, Parser] = {
    "CAPABILITY": _bare(commands.Capability),
    "NOOP": _bare(commands.Noop),
    "LOGOUT": _bare(commands.Logout),
    "ID": _id,
    "STARTTLS": _bare(commands.StartTls),
    "AUTHENTICATE": _authenticate,
    "LOGIN": _login,
    "SELECT": _one_mailbox(commands.Select),
    "EXAMINE": _one_mailbox(commands.Examine),
    "CREATE": _one_mailbox(commands.Create, creating=True),
    "DELETE": _one_mailbox(commands.Delete),
    "RENAME": _rename,
    "SUBSCRIBE": _one_mailbox(commands.Subscribe),
    "UNSUBSCRIBE": _one_mailbox(commands.Unsubscribe),
    "LIST": _list,
    "LSUB": _lsub,
    "STATUS": _status,
    "APPEND": _append_without_message,
    "NAMESPACE": _bare(commands.Namespace),
    "IDLE": _bare(commands.Idle),
    "CHECK": _bare(commands.Check),
    "CLOSE": _bare(commands.Close),
    "UNSELECT": _bare(commands.Unselect),
    "EXPUNGE": _bare(commands.Expunge),
    "SEARCH": _search,
    "FETCH": _fetch,
    "STORE": _store,
    "COPY": _copy,
    "MOVE": _move,
    "UID": _uid,
}
