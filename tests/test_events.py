"""The event: what is one and what is not, and that a fault is named without repeating the input."""

from __future__ import annotations

import json
import math
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from trio_stages.events import LARGE_BYTES, Event, InvalidEvent, parse_event

if TYPE_CHECKING:
    from collections.abc import Callable

ALICE = {"user": "alice", "action": "buy", "amount": 100}


def event(user: str = '"alice"', action: str = '"buy"', amount: str = "100", more: str = "") -> str:
    """An event of raw JSON values."""
    return f'{{"user":{user},"action":{action},"amount":{amount}{more}}}'


def but(**members: object) -> dict[str, object]:
    return ALICE | members


VALID = {
    "canonical": (event(), ALICE),
    "in another order, with blanks": (
        ' \t\r\n{ "amount" : 100 , "action" : "buy" , "user" : "alice" } \n',
        ALICE,
    ),
    "largest amount": (event(amount="9223372036854775807"), but(amount=2**63 - 1)),
    "smallest amount": (event(amount="-9223372036854775808"), but(amount=-(2**63))),
    "amount 0": (event(amount="0"), but(amount=0)),
    "amount -0": (event(amount="-0"), but(amount=0)),
    "one character": (event(user='"a"', action='"b"'), but(user="a", action="b")),
    "256 characters": (event(user=f'"{"u" * 256}"'), but(user="u" * 256)),
    "256 characters of four bytes": (event(user=f'"{"😀" * 256}"'), but(user="😀" * 256)),
    "a blank": (event(user='" "'), but(user=" ")),
    "escapes": (event(user=r'"\u0061\n\"\\\/"'), but(user='a\n"\\/')),
    "NUL": (event(user=r'"\u0000"'), but(user="\0")),
    "a pair of surrogates": (event(user=r'"\ud83d\ude00"'), but(user="😀")),
    "unknown members": (event(more=',"note":{"a":[1,null]},"":0,"User":1'), ALICE),
    "amount twice, the last one good": (event(amount='"no"', more=',"amount":7'), but(amount=7)),
    "user twice": (event(more=',"user":"bob"'), but(user="bob")),
    "user twice, the first one no string": (
        event(user="{}", more=',"user":"bob"'),
        but(user="bob"),
    ),
}


@pytest.mark.parametrize(("body", "expected"), VALID.values(), ids=VALID)
def test_accepted(body: str, expected: dict[str, object]) -> None:
    assert parse_event(body.encode()).model_dump() == expected


USER, ACTION, AMOUNT, WHOLE = ["user"], ["action"], ["amount"], [""]
REFUSED = {
    "empty": ("", WHOLE),
    "blank": (" ", WHOLE),
    "no JSON": ("hello", WHOLE),
    "null": ("null", WHOLE),
    "a number": ("100", WHOLE),
    "a string": ('"alice"', WHOLE),
    "an array": (f"[{event()}]", WHOLE),
    "an array of members": ('["alice","buy",100]', WHOLE),
    "empty object": ("{}", [*USER, *ACTION, *AMOUNT]),
    "cut short": (event()[:-1], WHOLE),
    "two events": (event() + event(), WHOLE),
    "a comma too many": (event(more=","), WHOLE),
    "a comment": (event() + "// hello", WHOLE),
    "a NUL behind it": (event() + "\0", WHOLE),
    "names without quotes": ("{user:1}", WHOLE),
    "single quotes": (event().replace('"', "'"), WHOLE),
    "nested 100,000 deep": ("[" * 100_000, WHOLE),
    "nested 100,000 deep, closed": ("[" * 100_000 + "]" * 100_000, WHOLE),
    "objects 100,000 deep": ('{"user":' * 100_000, WHOLE),
    "nested deep in an unknown member": (event(more=',"x":' + "[" * 100_000), WHOLE),
    "no user": ('{"action":"buy","amount":1}', USER),
    "no action": ('{"user":"alice","amount":1}', ACTION),
    "no amount": ('{"user":"alice","action":"buy"}', AMOUNT),
    "members in capitals": ('{"USER":"a","Action":"b","amounT":1}', [*USER, *ACTION, *AMOUNT]),
    "user empty": (event(user='""'), USER),
    "user of 257 characters": (event(user=f'"{"u" * 257}"'), USER),
    "user null": (event(user="null"), USER),
    "user a number": (event(user="7"), USER),
    "user an object": (event(user="{}"), USER),
    "action empty": (event(action='""'), ACTION),
    "action of 257 characters": (event(action=f'"{"u" * 257}"'), ACTION),
    "action true": (event(action="true"), ACTION),
    **{
        f"amount {amount}": (event(amount=amount), AMOUNT)
        for amount in ('"100"', '""', "1.0", "100.5", "1e2", "1E400", "true", "false", "null")
    },
    **{
        f"amount {amount}": (event(amount=amount), AMOUNT)
        for amount in ("[]", "{}", "NaN", "Infinity", "-Infinity", str(2**63), str(-(2**63) - 1))
    },
    **{
        f"amount {amount}": (event(amount=amount), WHOLE)
        for amount in ("01", "+1", ".5", "1.", "0x10", "1_000", "--1", "")
    },
    "amount of 4,000 digits": (event(amount="9" * 4000), AMOUNT),
    "amount of 100,000 digits": (event(amount="9" * 100_000), WHOLE),
    "amount twice, the last one bad": (event(more=',"amount":"7"'), AMOUNT),
    "user twice, the last one empty": (event(more=',"user":""'), USER),
    "high surrogate alone": (event(user=r'"\ud83d"'), WHOLE),
    "low surrogate alone": (event(user=r'"\ude00"'), WHOLE),
    "a line break in a string": (event(user='"a\nb"'), WHOLE),
    "unknown escape": (event(user=r'"\q"'), WHOLE),
    "everything wrong": (event(user="1", action="2", amount='"3"'), [*USER, *ACTION, *AMOUNT]),
}
NOT_UTF_8 = {
    "invalid UTF-8": event().encode().replace(b"alice", b"\xff\xfe"),
    "overlong UTF-8": event().encode().replace(b"alice", b"\xc0\xaf"),
    "a surrogate in UTF-8": event().encode().replace(b"alice", b"\xed\xa0\x80"),
    "Latin-1": event(user='"café"').encode("latin-1"),
    "byte order mark": event().encode("utf-8-sig"),
    "UTF-16 with byte order mark": event().encode("utf-16"),
    "UTF-16, little end first": event().encode("utf-16-le"),
    "UTF-16, big end first": event().encode("utf-16-be"),
    "UTF-32": event().encode("utf-32"),
    "random bytes": bytes(range(256)),
}


def faults(body: bytes) -> list[dict[str, str]]:
    """What is wrong with the body; empty for a valid event."""
    try:
        parse_event(body)
    except InvalidEvent as invalid:
        return invalid.detail
    return []


@pytest.mark.parametrize(("body", "fields"), REFUSED.values(), ids=REFUSED)
def test_refused_naming_the_field(body: str, fields: list[str]) -> None:
    detail = faults(body.encode())
    assert [fault["field"] for fault in detail] == fields
    assert all(fault.keys() == {"field", "message"} and fault["message"] for fault in detail)


@pytest.mark.parametrize("body", NOT_UTF_8.values(), ids=NOT_UTF_8)
def test_refused_as_no_utf_8(body: bytes) -> None:
    assert [fault["field"] for fault in faults(body)] == WHOLE


MARKER = "Zq7xMarker"
WRONG_PLACES = (
    MARKER,
    f'"{MARKER}"',
    f"{{{MARKER}:1}}",
    f'{{"{MARKER}":1}}',
    event(user=f'["{MARKER}"]'),
    event(user=f'"{MARKER * 30}"'),
    event(user=f'"{MARKER}'),
    event(action=f'{{"{MARKER}":1}}'),
    event(action=rf'"\{MARKER}"'),
    event(amount=f'"{MARKER}"'),
    event(amount=MARKER),
    event(amount=f"1{MARKER}"),
    event(amount="null", more=f',"{MARKER}":"{MARKER}"'),
    event() + MARKER,
)


@pytest.mark.parametrize("body", WRONG_PLACES)
def test_the_detail_never_repeats_the_input(body: str) -> None:
    detail = faults(body.encode())
    assert detail
    assert MARKER.lower() not in json.dumps(detail).lower()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.untraced
@given(
    st.dictionaries(st.sampled_from(["user", "action", "amount", MARKER]), json_values),
    st.integers(0, 200),
    st.sampled_from([MARKER, f'"{MARKER}"', f'"{MARKER}":', f'\\{MARKER}"', f"{MARKER}\n"]),
)
def test_the_detail_never_repeats_what_is_anywhere_in_the_input(
    members: dict[str, Any], at: int, text: str
) -> None:
    body = json.dumps(members)
    body = body[:at] + text + body[at:]
    assert MARKER not in json.dumps(faults(body.encode()))


names = st.text(min_size=1, max_size=256)
amounts = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.untraced
@given(names, names, amounts, st.dictionaries(st.text(), json_values, max_size=2), st.booleans())
def test_a_valid_event_comes_through_unchanged(
    user: str, action: str, amount: int, more: dict[str, Any], ascii_only: bool
) -> None:
    more = {name: value for name, value in more.items() if name not in ALICE}
    members = more | {"user": user, "action": action, "amount": amount}
    body = json.dumps(members, ensure_ascii=ascii_only).encode()
    assert parse_event(body) == Event(user=user, action=action, amount=amount)


@pytest.mark.untraced
@given(st.binary() | st.text().map(str.encode) | json_values.map(lambda v: json.dumps(v).encode()))
@example(b"\xef\xbb\xbf{}")
def test_no_body_raises_anything_else(body: bytes) -> None:
    faults(body)


# The same of a body that is large: its faults are found in another way


def verdict(body: bytes) -> Event | list[str]:
    """The event, or the fields at fault."""
    try:
        return parse_event(body)
    except InvalidEvent as invalid:
        return [fault["field"] for fault in invalid.detail]


BLANKS = b" " * LARGE_BYTES
TABLE = {f"valid, {name}": body for name, (body, _) in VALID.items()} | {
    f"refused, {name}": body for name, (body, _) in REFUSED.items()
}


@pytest.mark.parametrize("body", TABLE.values(), ids=TABLE)
def test_the_verdict_does_not_depend_on_the_size(body: str) -> None:
    assert verdict(BLANKS + body.encode()) == verdict(body.encode())


@pytest.mark.untraced
@given(
    st.dictionaries(
        st.sampled_from(["user", "action", "amount", "more"]),
        st.one_of(st.text(max_size=3), st.integers(), json_values),
    )
)
def test_nor_does_it_for_anything_else(members: dict[str, object]) -> None:
    body = json.dumps(members).encode()
    assert verdict(BLANKS + body) == verdict(body)


LISTS: dict[str, Callable[[bytes], bytes]] = {
    "the whole": lambda lists: lists,
    "an unknown member": lambda lists: b'{"x":%b}' % lists,
    "a member": lambda lists: b'{"user":"a","action":"b","amount":%b}' % lists,
}


@pytest.mark.parametrize("place", LISTS.values(), ids=LISTS)
def test_a_large_body_costs_no_more_than_to_read_it(place: Callable[[bytes], bytes]) -> None:
    """Pydantic by itself makes objects of all of it, once for each fault."""

    def cost_s(body: bytes) -> float:
        best = math.inf
        for _ in range(3):
            started = time.thread_time()
            verdict(body)
            best = min(best, time.thread_time() - started)
        return best

    lists = b"[%b]" % b",".join([b"[[[]]]"] * 100_000)
    assert cost_s(place(lists)) < 8 * cost_s(event(more=f',"x":{lists.decode()}').encode())


def test_an_event_does_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_event(event().encode()).amount = 7
