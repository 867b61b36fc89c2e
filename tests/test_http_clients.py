"""Clients that people have, each with habits of its own: curl, httpx, urllib3 and http.client.

The server is stage 4, whose replies tell how often an event has been applied.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import httpx
import pytest
import trio
import urllib3
from support import EVENT, PATIENCE_S, running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Client = Callable[[int, "Ask"], Awaitable[list["Answer"]]]


@dataclass(frozen=True)
class Ask:
    """What a client is to send, so many times over one connection."""

    method: str = "POST"
    path: str = "/events"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = EVENT
    chunked: bool = False
    times: int = 1


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    connection: object  #: the same for the same connection

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def curl(port: int, ask: Ask, *options: str) -> list[Answer]:
    fields = [f"{name}: {value}" for name, value in ask.headers.items()]
    fields += ["Transfer-Encoding: chunked"] * ask.chunked
    upload = [] if ask.method == "HEAD" else ["--data-binary", "@-"]
    process = await trio.run_process(
        [
            *("curl", "--silent", "--show-error", "--noproxy", "*", *options),
            *("--max-time", str(PATIENCE_S), "--request", ask.method, *upload),
            *(["--head"] if ask.method == "HEAD" else []),
            *(word for line in fields for word in ("--header", line)),
            *("--write-out", r"\n=%{http_code} %{local_port} %{size_download}=\n"),
            *[f"http://127.0.0.1:{port}{ask.path}"] * ask.times,
        ],
        stdin=ask.body,
        capture_stdout=True,
        capture_stderr=True,
    )
    replies = re.findall(r"(.*?)\n=(\d+) (\d+) (\d+)=\n", process.stdout.decode(), re.DOTALL)
    return [  # of a reply to HEAD curl writes the fields
        Answer(int(status), text.encode() if int(size) else b"", local_port)
        for text, status, local_port, size in replies
    ]


class Pieces:
    """A body in pieces, which httpx sends as chunks."""

    def __init__(self, body: bytes) -> None:
        self._pieces = iter([body[:7], body[7:20], body[20:]])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


async def with_httpx(port: int, ask: Ask) -> list[Answer]:
    answers = []
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S) as client:
        for _ in range(ask.times):
            response = await client.request(
                ask.method,
                f"http://127.0.0.1:{port}{ask.path}",
                content=Pieces(ask.body) if ask.chunked else ask.body,
                headers=ask.headers,
            )
            stream = response.extensions["network_stream"]
            answers.append(Answer(response.status_code, response.content, stream))
    return answers


def blocking_urllib3(port: int, ask: Ask) -> list[Answer]:
    answers = []
    with urllib3.HTTPConnectionPool("127.0.0.1", port, retries=False, timeout=PATIENCE_S) as pool:
        for _ in range(ask.times):
            body = [ask.body[:7], ask.body[7:]] if ask.chunked else ask.body
            response = pool.request(
                ask.method, ask.path, body=body, headers=ask.headers, chunked=ask.chunked
            )
            answers.append(Answer(response.status, response.data, pool.num_connections))
    return answers


def blocking_http_client(port: int, ask: Ask) -> list[Answer]:
    answers = []
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    for _ in range(ask.times):
        body = iter([ask.body[:7], ask.body[7:]]) if ask.chunked else ask.body
        headers = dict(ask.headers) | ({"TRANSFER-encoding": "chunked"} if ask.chunked else {})
        client.request(ask.method, ask.path, body, headers, encode_chunked=ask.chunked)
        local = client.sock.getsockname()
        response = client.getresponse()
        answers.append(Answer(response.status, response.read(), local))
    client.close()
    return answers


async def with_urllib3(port: int, ask: Ask) -> list[Answer]:
    return await trio.to_thread.run_sync(blocking_urllib3, port, ask)


async def with_http_client(port: int, ask: Ask) -> list[Answer]:
    return await trio.to_thread.run_sync(blocking_http_client, port, ask)


needs_curl = pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl here")
every_client = pytest.mark.parametrize(
    "client",
    [pytest.param(curl, marks=needs_curl), with_httpx, with_urllib3, with_http_client],
)
SPELLINGS = ("Content-Length", "content-length", "CONTENT-LENGTH", "Content-length")


@every_client
@pytest.mark.parametrize("name", SPELLINGS)
async def test_a_length_in_any_spelling(client: Client, name: str) -> None:
    async with running(4, tcp=True, work_ms=0) as server:
        ask = Ask(headers={name: str(len(EVENT)), "CONTENT-type": "text/plain"})
        (answer,) = await client(server.port, ask)
        assert (answer.status, answer.json) == (200, {"status": "accepted", "balance": 100})


@every_client
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
async def test_a_connection_is_used_again(client: Client, chunked: bool) -> None:
    async with running(4, tcp=True, work_ms=0) as server:
        answers = await client(server.port, Ask(chunked=chunked, times=3))
        assert [answer.json["balance"] for answer in answers] == [100, 200, 300]
        assert len({answer.connection for answer in answers}) == 1


@every_client
@pytest.mark.parametrize(
    ("ask", "status", "reason"),
    [
        (Ask(body=b"{}"), 400, "invalid_json"),
        (Ask(path="/nowhere"), 404, "not_found"),
        (Ask("PUT"), 405, "method_not_allowed"),
    ],
    ids=["no event", "no such path", "no such method"],
)
async def test_an_error_leaves_the_connection_in_use(
    client: Client, ask: Ask, status: int, reason: str
) -> None:
    async with running(4, tcp=True, work_ms=0) as server:
        answers = await client(server.port, replace(ask, times=2))
        assert [(a.status, a.json["reason"]) for a in answers] == [(status, reason)] * 2
        assert len({answer.connection for answer in answers}) == 1


@every_client
async def test_head(client: Client) -> None:
    async with running(4, tcp=True, work_ms=0) as server:
        (answer,) = await client(server.port, Ask("HEAD", "/balances", body=b""))
        assert (answer.status, answer.body) == (200, b"")


@every_client
async def test_who_sends_too_much_still_reads_the_reply(client: Client) -> None:
    async with running(4, tcp=True, work_ms=0) as server:
        (answer,) = await client(server.port, Ask(body=b"x" * 2_000_000))
        assert (answer.status, answer.json["reason"]) == (413, "payload_too_large")


# What curl alone can do


@needs_curl
async def test_curl_waits_until_it_is_told_to_continue() -> None:
    async with running(4, tcp=True, work_ms=0) as server:
        # longer than it may take at all: left alone, curl would send the body after a second
        options = ("--expect100-timeout", str(2 * PATIENCE_S))
        ask = Ask(headers={"Expect": "100-continue"}, times=2)
        answers = await curl(server.port, ask, *options)
        assert [answer.json["balance"] for answer in answers] == [100, 200]


@needs_curl
async def test_curl_expects_by_itself_what_is_long() -> None:
    body = b'{"user":"alice","action":"buy","amount":1,"note":"%s"}' % (b"x" * 1_100_000)
    async with running(4, tcp=True, work_ms=0, max_body_bytes=2_000_000) as server:
        (answer,) = await curl(
            server.port, Ask(body=body), "--expect100-timeout", str(2 * PATIENCE_S)
        )
        assert answer.json == {"status": "accepted", "balance": 1}


@needs_curl
@pytest.mark.parametrize(
    "options",
    [
        ("--http1.0",),
        ("--http1.0", "--header", "Connection: keep-alive"),
        ("--header", "Connection: close"),
        ("--http2",),
        ("--request-target", "http://anywhere:1/events?x=y"),
    ],
    ids=["1.0", "1.0 keep-alive", "close", "upgrade to 2", "absolute form"],
)
async def test_curl_in_other_words(options: tuple[str, ...]) -> None:
    async with running(4, tcp=True, work_ms=0) as server:
        answers = await curl(server.port, Ask(times=2), *options)
        assert [answer.json["balance"] for answer in answers] == [100, 200]


@needs_curl
@pytest.mark.parametrize(
    "options",
    [("--http2-prior-knowledge",), ("--proto-default", "https", "--insecure")],
    ids=["HTTP/2", "TLS"],
)
async def test_curl_in_another_language_is_turned_away_at_once(options: tuple[str, ...]) -> None:
    async with running(4, tcp=True, work_ms=0) as server:
        process = await trio.run_process(
            ["curl", "--silent", "--noproxy", "*", *options, f"127.0.0.1:{server.port}/health"],
            check=False,
            capture_stdout=True,
            capture_stderr=True,
        )
        assert process.returncode != 0
        assert server.books.http_errors == 1
