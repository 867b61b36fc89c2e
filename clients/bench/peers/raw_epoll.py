"""A ceiling: the system calls alone. epoll, and a constant reply to whatever comes.

``python -m clients.bench.peers.raw_epoll PORT``
"""

from __future__ import annotations

import select
import socket
import sys

from .service import ACCEPTED

BACKLOG = 2048
RECEIVE_BYTES = 16_384
REPLY = (
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
    % (
        len(ACCEPTED),
        ACCEPTED,
    )
)


def main(port: int) -> None:
    clients: dict[int, socket.socket] = {}
    with (
        socket.create_server(("127.0.0.1", port), backlog=BACKLOG) as listener,
        select.epoll() as news,
    ):
        listener.setblocking(False)
        news.register(listener, select.EPOLLIN)
        while True:
            for number, _ in news.poll():
                if number == listener.fileno():
                    client, _ = listener.accept()
                    client.setblocking(False)
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    clients[client.fileno()] = client
                    news.register(client, select.EPOLLIN)
                    continue
                client = clients[number]
                try:
                    if client.recv(RECEIVE_BYTES):
                        client.send(REPLY)
                        continue
                except BlockingIOError:
                    continue
                except OSError:
                    pass
                del clients[number]
                client.close()


if __name__ == "__main__":
    main(int(sys.argv[1]))
