"""Jobs that compute, in threads: ``python clients/lab/burning.py THREADS JOBS SECONDS_EACH``.

Alone in its file and without imports of ours, so that any interpreter can run it, a free-threaded
one too that has none of our dependencies. Prints ``{"jobs_per_s": …, "gil": …}``.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor


def burn_s(amount_s: float) -> None:
    """Compute until this thread has used so many seconds of CPU."""
    end = time.thread_time() + amount_s
    while time.thread_time() < end:
        sum(range(50))


def jobs_per_s(threads: int, jobs: int, amount_s: float) -> float:
    """How many such jobs so many threads do in a second."""
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(burn_s, [amount_s] * threads))  # each thread is there
        started_s = time.perf_counter()
        list(pool.map(burn_s, [amount_s] * jobs))
        return jobs / (time.perf_counter() - started_s)


def main() -> None:
    """Print the rate."""
    threads, jobs, amount_s = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    gil = bool(getattr(sys, "_is_gil_enabled", lambda: True)())
    print(json.dumps({"jobs_per_s": jobs_per_s(threads, jobs, amount_s), "gil": gil}))


if __name__ == "__main__":
    main()
