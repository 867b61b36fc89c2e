"""``python -m trio_stages.compare.costs.cell COLUMN OPERATION COUNT``: one run, as a line of JSON.

A process for each run: nothing of one is left in the next, and one that never ends can be ended.
"""

from __future__ import annotations

import json
import sys

from .clients import possible_connections
from .clock import Clock
from .operations import BY_NAME, load
from .servers import serve

# Of the work done beforehand: threads are started, caches filled, what is imported late is there.
WARM_UP = 0.1


def main(column: str, operation: str, count: int) -> None:
    """Do it once for warming up, once for the record, and print that."""
    clock = Clock()
    if BY_NAME[operation].unit == "per_s":
        facts = serve(column, operation, count, clock)
    else:
        module = load(column)
        if operation == "stop":
            count = possible_connections(count)
        run = getattr(module, operation)
        module.run(run, max(10, int(count * WARM_UP)), Clock())
        facts = module.run(run, count, clock)
    result = {"count": count, "wall_s": clock.wall_s, "cpu_s": clock.cpu_s, "facts": facts}
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
