"""Exhibit: how one capital letter refuses every event.

Two ways to find the body of a request. Each returns the body and whatever is left behind it. They
differ in how they look for ``Content-Length``, and in nothing else.
"""


def naive_body(request: bytes) -> tuple[bytes, bytes]:
    """Look for the header as curl writes it: the bug that the source met at its stage 6."""
    head, _, rest = request.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        if line.startswith(b"Content-Length: "):
            length = int(line.removeprefix(b"Content-Length: "))
    return rest[:length], rest[length:]


def fixed_body(request: bytes) -> tuple[bytes, bytes]:
    """Compare names without regard to case, and let the blank be optional (RFC 9112, 5)."""
    head, _, rest = request.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value.strip())
    return rest[:length], rest[length:]
