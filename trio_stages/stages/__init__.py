"""The ladder: each file is a server, and the difference to the one before it is the lesson.

In every file: the pain it inherits, the idea it adds and what still hurts; then ``DEFAULTS``,
``handle``, ``worker`` and ``serve``, as far as the stage has them, in this order. No stage imports
another. The next stage is the next file here, and a row in ``trio_stages/ladder.py``.
"""
