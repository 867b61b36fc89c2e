"""The peers are what the bench says: each really queues, really refuses, and validates as we do.

Those whose packages the test group has run here; all of them where the bench's are installed too.
"""

from __future__ import annotations

import sys

import pytest

from clients.bench.peers.service import CAPACITY
from clients.bench.running import EVENT, running
from clients.bench.servers import SERVERS, Server
from clients.http import Connection, Target

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, uses epoll")

# The ceilings only pretend.
PEERS = [server for server in SERVERS if server.kind not in ("ours", "ceiling")]


@pytest.fixture(params=PEERS, ids=lambda server: server.name)
def peer(request: pytest.FixtureRequest) -> Server:
    server: Server = request.param
    if server.missing:
        pytest.skip(f"not installed: {', '.join(server.missing)}")
    return server


async def test_a_peer_accepts_until_its_queue_is_full(peer: Server) -> None:
    async with running(peer, environment={"BENCH_WORKER": "off"}) as server:
        target = await Target.locate(server.url)
        with Connection(target) as client:
            message = target.request("POST", "/", EVENT)
            # One was accepted already: that is how a server counts as started.
            statuses = [(await client.request(message)).status for _ in range(CAPACITY + 20)]
            assert statuses == [202] * (CAPACITY - 1) + [503] * 21
            for wrong in (b"{}", b'{"user":"a","action":"b","amount":"1"}', b"nonsense"):
                reply = await client.request(target.request("POST", "/", wrong))
                assert reply.status in (400, 422)
            closing = await client.request(target.request("POST", "/", EVENT, close=True))
            assert (closing.status, closing.close) == (503, True)
            assert (await client.request(message)).status == 503  # over a new connection


async def test_a_peer_drains_its_queue(peer: Server) -> None:
    async with running(peer) as server:
        target = await Target.locate(server.url)
        with Connection(target) as client:
            message = target.request("POST", "/", EVENT)
            statuses = {(await client.request(message)).status for _ in range(CAPACITY + 20)}
    assert statuses == {202}
