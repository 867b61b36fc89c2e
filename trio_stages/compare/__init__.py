"""Structured cancellation against asyncio: one ingest server, five columns, many scenarios.

* ``core``: the server without its I/O; ``shells/``: the five, function by function alike
* ``scenario``, ``scenarios/``: what is done to it, and what each column is expected to show
* ``cell``: one scenario in one column, in a process of its own (``trial``, ``recorder``,
  ``metrics``)
* ``results``: what was observed, as data; ``run``: all cells on all interpreters
"""
