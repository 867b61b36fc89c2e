"""The replies as bytes: complete, well-formed, and saying what becomes of the connection."""

from __future__ import annotations

import json
from email.utils import parsedate_to_datetime

import h11
import pytest

from trio_stages import replies
from trio_stages.framing import Head
from trio_stages.replies import Reply

CONTRACT = {  # status, reason, whether it closes, whether it counts among http_errors
    replies.ACCEPTED: (202, None, False, False),
    replies.PROCESSED: (200, None, False, False),
    replies.processed(100): (200, None, False, False),
    replies.HEALTHY: (200, None, False, False),
    replies.echo(b"\0\xff"): (200, None, False, False),
    replies.busy(7): (503, "server_busy", False, False),
    replies.SHUTTING_DOWN: (503, "shutting_down", True, False),
    replies.STOPPING: (503, None, False, True),
    replies.invalid_json([]): (400, "invalid_json", False, False),
    replies.INVALID_HTTP: (400, "invalid_http", True, True),
    replies.PAYLOAD_TOO_LARGE: (413, "payload_too_large", True, True),
    replies.HEADERS_TOO_LARGE: (431, "headers_too_large", True, True),
    replies.REQUEST_TIMEOUT: (408, "request_timeout", True, True),
    replies.UNKNOWN_TRANSFER_CODING: (501, "unknown_transfer_coding", True, True),
    replies.VERSION_NOT_SUPPORTED: (505, "version_not_supported", True, True),
    replies.EXPECTATION_FAILED: (417, "expectation_failed", True, True),
    replies.NOT_FOUND: (404, "not_found", False, True),
    replies.POST_ONLY: (405, "method_not_allowed", False, True),
    replies.GET_ONLY: (405, "method_not_allowed", False, True),
    replies.INTERNAL_ERROR: (500, "internal_error", True, True),
    replies.TOO_MANY_CONNECTIONS: (503, "too_many_connections", True, True),
}
BODIES = {
    replies.ACCEPTED: '{"status":"accepted"}',
    replies.PROCESSED: '{"status":"accepted"}',
    replies.processed(100): '{"status":"accepted","balance":100}',
    replies.HEALTHY: '{"status":"ok"}',
    replies.busy(7): '{"status":"rejected","reason":"server_busy"}',
    replies.SHUTTING_DOWN: '{"status":"rejected","reason":"shutting_down"}',
    replies.NOT_FOUND: '{"status":"error","reason":"not_found"}',
    replies.invalid_json(
        [{"field": "user", "message": "no"}]
    ): '{"status":"error","reason":"invalid_json","detail":[{"field":"user","message":"no"}]}',
}


def head(method: bytes = b"GET", *, keep_alive: bool = True, http_1_0: bool = False) -> Head:
    return Head(method, b"/", 0, False, False, keep_alive, http_1_0, plain=True)


def understood(data: bytes, method: str = "GET") -> tuple[h11.Response, dict[bytes, bytes], bytes]:
    """What a client makes of the bytes: the reply, its fields, the body; there must be no more."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method=method, target="/", headers=[("Host", "test")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    fields = list(response.headers)
    assert len(dict(fields)) == len(fields), "a field twice"
    body = b""
    while isinstance(event := client.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert client.trailing_data == (b"", False)
    return response, dict(fields), body


def ids(of: object) -> str:
    return f"{of.status} {of.reason}" if isinstance(of, Reply) else ""


@pytest.mark.parametrize(("reply", "contract"), CONTRACT.items(), ids=ids)
def test_each_reply_is_the_contracts(
    reply: Reply, contract: tuple[int, str | None, bool, bool]
) -> None:
    status, reason, close, http_error = contract
    response, fields, body = understood(reply.render(head()))
    assert response.status_code == status
    assert response.reason
    assert body == reply.body
    assert fields[b"content-length"] == b"%d" % len(body)
    assert fields.get(b"connection") == (b"close" if close else None)
    assert reply.http_error is http_error
    if fields[b"content-type"] == b"application/json":
        content = json.loads(body)
        assert content.get("reason") == reason
        assert status < 400 or content["status"] in ("error", "rejected", "stopping")


@pytest.mark.parametrize(("reply", "body"), BODIES.items(), ids=ids)
def test_bodies_to_the_byte(reply: Reply, body: str) -> None:
    assert reply.body == body.encode()


@pytest.mark.parametrize("reply", CONTRACT, ids=ids)
def test_a_reply_to_head_is_the_same_without_its_body(reply: Reply) -> None:
    _, fields, body = understood(reply.render(head(b"HEAD")), "HEAD")
    assert body == b""
    assert fields[b"content-length"] == b"%d" % len(reply.body)


FATES = {  # of the connection: what its request said, whether the reply closes, and what it says
    "1.1": (head(), False, None),
    "1.1, close": (head(keep_alive=False), False, b"close"),
    "1.0": (head(http_1_0=True, keep_alive=False), False, b"close"),
    "1.0, keep-alive": (head(http_1_0=True), False, b"keep-alive"),
    "the reply closes": (head(), True, b"close"),
    "the reply closes, 1.0": (head(http_1_0=True), True, b"close"),
    "no readable request": (None, False, b"close"),
}


@pytest.mark.parametrize(("request_head", "close", "said"), FATES.values(), ids=FATES)
def test_it_says_what_becomes_of_the_connection(
    request_head: Head | None, close: bool, said: bytes | None
) -> None:
    reply = replies.json_reply(200, {}, close=close)
    _, fields, _ = understood(reply.render(request_head))
    assert fields.get(b"connection") == said


def test_further_fields() -> None:
    for reply, name, value in (
        (replies.busy(7), b"retry-after", b"7"),
        (replies.POST_ONLY, b"allow", b"POST"),
        (replies.GET_ONLY, b"allow", b"GET, HEAD"),
        (replies.echo(b"x"), b"content-type", b"application/octet-stream"),
    ):
        _, fields, _ = understood(reply.render(head()))
        assert fields[name] == value


def test_the_date_is_todays_in_every_reply(monkeypatch: pytest.MonkeyPatch) -> None:
    for second, date in (
        (784_111_777.9, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (784_111_778.0, b"Sun, 06 Nov 1994 08:49:38 GMT"),
        (1_800_000_000.5, b"Fri, 15 Jan 2027 08:00:00 GMT"),
    ):
        monkeypatch.setattr("time.time", lambda second=second: second)
        for reply in (replies.ACCEPTED, replies.INVALID_HTTP):
            _, fields, _ = understood(reply.render(head()))
            assert fields[b"date"] == date
            assert parsedate_to_datetime(date.decode()).timestamp() == int(second)


def test_text_from_elsewhere_stays_ascii_and_on_one_line() -> None:
    reply = replies.json_reply(200, {"user": "Zoë\r\nX: y\u2028😀"})
    assert reply.body.isascii()
    assert b"\n" not in reply.body
    assert json.loads(reply.body) == {"user": "Zoë\r\nX: y\u2028😀"}
