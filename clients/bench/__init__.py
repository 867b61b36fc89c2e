"""How fast stage 8 is, beside whom, and how that grows: ``python -m clients.bench [COMMAND]``.

Linux only: CPU time and memory are read in /proc. Commands:

- ``compare``    stage 8 and the peers side by side, interleaved rounds (what runs if none is named)

What they are made of, bottom up:

- ``pinned``            a command on CPUs of its own
- ``process``           CPU time and memory of a server with its children
- ``peers/``            the other servers
- ``servers``           who is measured; each started on a free port, always stopped
- ``loads``             what is sent; ``load.lua`` sends it with wrk, ``generator`` without
- ``generate``          one load on one server: a sample
- ``figures``           medians, spread, ratios pair by pair
- ``targets``           what was to be reached, judged
- ``comparison_page``   tables and plots of a comparison
- ``pages``             where results go
"""
