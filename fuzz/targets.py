"""The rules that hold for any bytes; each target takes an input and raises where one is broken."""

from __future__ import annotations

import json
import json.scanner
import re
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any
from zlib import crc32

import h11

from trio_stages.events import InvalidEvent, parse_event
from trio_stages.framing import Refused, Request, RequestReader
from trio_stages.heads import HeadMemory
from trio_stages.replies import echo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

# The contract's limits, and some that short inputs reach.
LIMITS: tuple[dict[str, int], ...] = ({}, {"max_header_bytes": 70, "max_body_bytes": 4})
CHUNKED_HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
MARKER = "Zq7xMarker"
# Every byte alone costs a call; longer inputs are only cut at random.
LONGEST_BYTE_BY_BYTE = 200


@dataclass
class Fate:
    """What became of some bytes on one connection.

    Attributes:
        requests: that came out.
        refusal: the reply that ended it, as it goes over the wire.
        continues: how often ``100 Continue`` was due.
        left: what stays in the buffer.
    """

    requests: list[Request] = field(default_factory=list)
    refusal: bytes | None = None
    continues: int = 0
    left: bytes = b""

    @property
    def replies(self) -> list[bytes]:
        """What an echoing server would send, less the date."""
        answers = [echo(request.body).render(request.head) for request in self.requests]
        return [*map(_undated, answers), self.refusal or b""]


def _undated(reply: bytes) -> bytes:
    head, empty, body = reply.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Date: ")]
    return b"\r\n".join(lines) + empty + body


def read(pieces: Iterable[bytes], memory: HeadMemory, limits: dict[str, int]) -> Fate:
    """Feed the pieces to a reader that remembers these heads; an empty one ends the sending."""
    fate = Fate()
    reader = RequestReader(**limits, heads=memory)
    try:
        for piece in pieces:
            request = reader.receive(piece)
            while request:
                fate.requests.append(request)
                request = reader.next_request()
            fate.continues += reader.continue_due()
    except Refused as refused:
        fate.refusal = refused.reply.render(None)
    fate.left = bytes(reader._buffer)
    if fate.refusal is not None:
        fate.refusal = _undated(fate.refusal)
        assert reader.receive(NEXT) is None, "it reads on after a refusal"
    return fate


def framing(data: bytes) -> None:
    """Requests out of bytes: the same in any pieces, whatever is remembered, and as h11 has them.

    Nothing but ``Refused`` is ever raised.
    """
    chance = Random(crc32(data))
    cuts = [sorted(chance.choices(range(len(data) + 1), k=k)) for k in (1, 2, 5)]
    if len(data) <= LONGEST_BYTE_BY_BYTE:
        cuts.append(list(range(len(data))))
    for limits in LIMITS:
        whole = read([data, b""], HeadMemory(), limits)
        for at in cuts:
            pieces = [*_cut(data, at), b""]
            fresh = read(pieces, HeadMemory(), limits)
            assert fresh.replies == whole.replies, "the pieces make a difference"
            assert fresh.requests == whole.requests, "the pieces make a difference"
            memory = HeadMemory()
            for _ in range(2):  # a head is remembered on second sight
                read(pieces, memory, limits)
            assert read(pieces, memory, limits) == fresh, "what is remembered makes a difference"
        _compare_with_h11(data, whole.requests)


def _cut(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    ends = [*cuts, len(data)]
    return [piece for at, end in zip([0, *cuts], ends, strict=True) if (piece := data[at:end])]


def _compare_with_h11(data: bytes, requests: list[Request]) -> None:
    """Of what we accept h11 must make the same: we are stricter, and nothing else."""
    for request in requests:
        while data.startswith(b"\r\n"):
            data = data[2:]
        reader = h11.Connection(h11.SERVER, max_incomplete_event_size=len(data) + 1)
        reader.receive_data(data)
        head, body = reader.next_event(), b""
        assert isinstance(head, h11.Request), f"h11 has {head}"
        try:
            while not isinstance(event := reader.next_event(), h11.EndOfMessage):
                assert isinstance(event, h11.Data), f"h11 has {event}"
                body += event.data
        except h11.RemoteProtocolError as error:
            # It minds what trailers say of the framing; they come too late for that (9110, 6.5.1).
            if not re.search("Content-Length|Transfer-Encoding", str(error)):
                raise
            return
        assert (head.method, body) == (request.head.method, request.body), "h11 has another request"
        target = head.target.partition(b"?")[0]
        assert target.endswith(request.head.path) or request.head.path == b"/", "and another target"
        data, _ = reader.trailing_data


def chunks(data: bytes) -> None:
    """The same of what follows a head that announces chunks."""
    framing(CHUNKED_HEAD + data)


def events(data: bytes) -> None:
    """Events out of bodies: InvalidEvent or what Python's own JSON has; and no echo in the detail.

    Nothing but ``InvalidEvent`` is ever raised.
    """
    faults = _faults(data)
    theirs = _their_event(data)
    if faults is None:
        event = parse_event(data)
        assert theirs == event.model_dump(), "json has another event"
    else:
        assert theirs is None or _beyond(data), "json has an event"
    at = crc32(data) % (len(data) + 1)
    marked = _faults(data[:at] + MARKER.encode() + data[at:])
    assert MARKER not in json.dumps(marked), "the detail repeats the input"


def _faults(body: bytes) -> list[dict[str, str]] | None:
    """What is wrong with the body; None for an event."""
    try:
        parse_event(body)
    except InvalidEvent as invalid:
        detail = invalid.detail
    else:
        return None
    assert detail, "no fault"
    assert all(fault.keys() == {"field", "message"} for fault in detail)
    return detail


class _Decoder(json.JSONDecoder):
    """Python's own JSON without its C, so that atheris can follow it through the grammar."""

    def __init__(self) -> None:
        super().__init__()
        self.parse_string = json.decoder.py_scanstring  # type: ignore[attr-defined]
        self.scan_once = json.scanner.py_make_scanner(self)  # type: ignore[attr-defined]


def _their_event(body: bytes) -> dict[str, Any] | None:
    """What Python's own JSON and the contract make of the body."""
    try:
        members = json.loads(body.decode(), cls=_Decoder)
        json.loads(body.decode())  # its C is stricter: no blank among the digits of a \u
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict) or not {"user", "action", "amount"} <= members.keys():
        return None
    user, action, amount = members["user"], members["action"], members["amount"]
    names = all(isinstance(name, str) and 1 <= len(name) <= 256 for name in (user, action))
    if names and type(amount) is int and -(2**63) <= amount < 2**63:
        return {"user": user, "action": action, "amount": amount}
    return None


def _beyond(body: bytes) -> bool:
    """Whether it has what ours refuses and Python's JSON does not: surrogates, or great depth."""
    return b"\\ud" in body.lower() or body.count(b"[") + body.count(b"{") > 100


TARGETS: dict[str, Callable[[bytes], None]] = {
    "framing": framing,
    "chunks": chunks,
    "events": events,
}
