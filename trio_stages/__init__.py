"""A ladder of HTTP event-ingest servers on Trio: feel each kind of overload, and what cures it.

The map, from the top down; arrows point one way:

* ``cli`` → ``ladder``, ``options``, ``lesson``, ``runner`` (one stage as a process: ``signals``,
  ``logs``, ``memory``, the final line)
* ``stages/stageNN_….py``: the lessons, each the difference to the one before
* what the stages share: ``server`` → ``connection`` → ``framing`` (``heads``, ``chunks``),
  ``replies`` (HTTP on h11); below them ``tcp``, ``readiness``, ``timeouts``, ``turns`` (what the
  event loop and the kernel do for them); ``asgi`` (the same on Hypercorn); ``routes``, ``events``
  (what a request means); ``state/``, ``locks/`` (balances and what guards them); ``work``,
  ``admission``, ``handling``, ``joblog``, ``heartbeat`` (around the jobs)
* ``compare/``: the ingest server again, on Trio and on asyncio, and what becomes of each
* what is counted: ``ledger`` (the fate of every ``jobs.Job``), ``drain_rate``, ``histogram``,
  ``telemetry`` (``/stats``), ``metrics`` (``/metrics``), ``model`` and ``queueing`` (what theory
  predicts)
* ``report/``: tables, verdicts, plots and pages of whoever measures; no stage knows it
"""

__version__ = "0.1.0"
