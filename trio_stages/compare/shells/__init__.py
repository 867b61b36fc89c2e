"""One server, five shells over ``core``: the same functions in the same order in each.

``handle`` answers a request, ``connection`` a client; ``process`` applies a job, ``worker`` one
after the other; ``serve`` is the server, ``main`` the process. To see what a column does
differently, compare two files, or two functions of one name.

* ``trio``: nurseries and cancel scopes.
* ``modern``: asyncio since 3.11, by its documentation: TaskGroup, timeout, to_thread.
* ``classic``: asyncio as most of it is written: create_task, gather, wait_for.
* ``hardened``: asyncio by someone who has been burnt by what the scenarios show.
* ``anyio``: Trio's structure on asyncio's event loop.
"""
