"""Who thinks of the inputs: atheris, guided by the coverage that they reach, or Hypothesis."""

from __future__ import annotations

import hashlib
import importlib
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parent / "corpus"
FOUND = Path("build") / "fuzz"
# Longer inputs reach nothing new, and make all of it slow.
LONGEST = 2000
# What random bytes would never come to.
HTTP_SCRAPS = (
    *(b"GET / HTTP/1.1\r\n", b"POST / HTTP/1.1\r\n", b"HEAD /a?b HTTP/1.0\r\n", b"HTTP/1.1"),
    *(b"OPTIONS * ", b"CONNECT a:1 ", b"GET http://a/ ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    *(b"Host: a\r\n", b"X: y\r\n", b"Connection: ", b"close", b"keep-alive", b"Upgrade: h2c\r\n"),
    *(b"Content-Length: ", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"chunked"),
    *(
        b"Expect: 100-continue\r\n",
        b"3\r\nabc\r\n",
        b"1;a=b\r\nx\r\n",
        b"0\r\n",
        b"0\r\na: b\r\n\r\n",
    ),
    *(b"\r\n\r\n", b"\r\n", b"\r", b"\n", b"\t", b" ", b":", b";", b",", b"\0", b"\x7f", b"\x80"),
)
JSON_SCRAPS = (
    *(b'{"user":"a","action":"b","amount":1}', b'"user":', b'"action":', b'"amount":', b'"x":'),
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud83d", b"\\ude00", b"\\n"),
    *(b"-", b"0", b"1", b"1.0", b"1e2", b"9223372036854775807", b"-9223372036854775808", b"1e400"),
    *(
        b"NaN",
        b"Infinity",
        b"true",
        b"null",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"\xc3\xa9",
        b"\n",
        b"\0",
    ),
)
SCRAPS = {"framing": HTTP_SCRAPS, "chunks": HTTP_SCRAPS, "events": JSON_SCRAPS}


def with_atheris(target: str, seconds: int) -> None:
    """Let libFuzzer mutate the corpus for a while; never returns.

    What reaches new code goes to build/fuzz/<target>/, what breaks a rule to the corpus itself.

    Args:
        target: its name.
        seconds: how long.
    """
    atheris: Any = importlib.import_module("atheris")
    for name in ("json", "json.decoder", "json.scanner"):
        sys.modules.pop(name, None)
    with atheris.instrument_imports(include=["trio_stages", "fuzz", "json"]):
        run = _target(target)
    corpus, found = CORPUS / target, FOUND / target
    found.mkdir(parents=True, exist_ok=True)
    dictionary = FOUND / f"{target}.dict"
    words = ("".join(f"\\x{byte:02x}" for byte in scrap) for scrap in SCRAPS[target])
    dictionary.write_text("".join(f'"{word}"\n' for word in words))
    options = [f"-artifact_prefix={corpus}/", f"-dict={dictionary}", f"-max_len={LONGEST}"]
    options += [f"-max_total_time={seconds}", "-print_final_stats=1", str(found), str(corpus)]
    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


def with_hypothesis(target: str, seconds: int) -> None:
    """Put scraps, random bytes and pieces of the corpus together for a while.

    Raises:
        AssertionError: a rule is broken; the shortest such input is in the corpus now.
    """
    run = _target(target)
    kept = [path.read_bytes() for path in sorted((CORPUS / target).iterdir())]
    pieces = st.sampled_from(SCRAPS[target]) | st.binary(max_size=8)
    if kept:
        pieces |= st.tuples(st.sampled_from(kept), st.integers(0, 200), st.integers(0, 200)).map(
            lambda cut: cut[0][cut[1] : cut[1] + cut[2]]
        )
    last = b""

    @settings(
        max_examples=1000,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.target, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(pieces, max_size=30).map(b"".join))
    def attempt(data: bytes) -> None:
        nonlocal last
        last = data[:LONGEST]
        run(last)

    end = time.monotonic() + seconds
    rounds = 0
    try:
        while time.monotonic() < end:
            attempt()
            rounds += 1
    except BaseException:
        name = f"broken-{hashlib.sha1(last, usedforsecurity=False).hexdigest()}"
        (CORPUS / target / name).write_bytes(last)
        raise
    print(f"{target}: {rounds} rounds of 1,000 inputs, no rule was broken")


def _target(name: str) -> Callable[[bytes], None]:
    from .targets import TARGETS  # only now: atheris instruments what is imported after it

    return TARGETS[name]
