"""The same small service on what people would pick instead, as its documentation has it.

Rules:

1. Every peer does the same: a POST with an ``Event`` (the same pydantic model, as strict) goes into
   a queue of ``CAPACITY`` and is answered 202; a full queue is a 503, a body that is no event 400
   (FastAPI's own 422). One worker drains the queue into a dict of balances.
2. Settings for production: no access log, no debug mode, warnings only, one process.
3. None of them has a ledger, a limit on connections, or more timeouts than it comes with.

``servers.py`` says how each is started. The ceilings answer without looking, and are not services.
"""
