"""How fast stage 8 is, beside whom, and how that grows: ``python -m clients.bench [COMMAND]``.

Linux only: CPU time and memory are read in /proc. Commands:

- ``compare``    stage 8 and the peers side by side, interleaved rounds (what runs if none is named)
- ``headline``   stages 7 and 8 at the document's own load, and what a flood leaves of the work
- ``profile``    where the microseconds of a request go
- ``scale``      connections, workers, users and shards: how cost grows, what bends first

What they are made of, bottom up:

- ``pinned``           a command on CPUs of its own
- ``process``          CPU time and memory of a server with its children
- ``peers/``           the other servers
- ``servers``          who is measured; ``running``: started on a free port, always stopped
- ``loads``            what is sent; ``load.lua`` sends it with wrk, ``generator`` without
- ``generate``         one load on one server: a sample
- ``figures``          medians, spread, ratios pair by pair
- ``targets``          what was to be reached, judged
- ``sampler``          runs a server and notes which line is running
- ``sweeps``           one thing grows, everything else stays
- ``pages``            where results go; ``comparison_page``, ``headline_page``: what they say
"""
