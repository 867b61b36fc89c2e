"""The stress lab: every table of the document beside ours, and the experiments that explain them.

``python -m clients.lab`` makes them all (``--quick``: in three minutes; ``7 8``: those about some
stages; ``--list``: what there is) and writes ``build/stress/``: ``index.html``, ``report.md``,
``results.json``.

The experiments, a file a group, each with its rows of the registry at its end:

- ``connections``    the freeze, garbage, the lower-case header, work inside a lock (1 to 4)
- ``pool``           a burst into a bounded queue, four workers (5, 6)
- ``hotlock``        one hot lock, the sweep over workers, the plateau, the contention formula (7)
- ``sharding``, ``sizing``   a lock for each shard; how long a queue should be (8)
- ``shutdown``       metrics that add up, a stop that loses nothing (9, 10)
- ``controlled``     the same workload for every lock, one factor at a time
- ``decomposition``  where the 11× comes from
- ``skew``           hot keys; readers and writers
- ``gil``            jobs that compute: tasks, threads, processes
- ``openloop``, ``retries``  offered load against goodput; the retry storm

What they are made with, bottom up:

- ``results``, ``verdicts``  what a run leaves behind, as data; how a claim is judged
- ``published``      the document's figures, and those of the Rust original
- ``recording``, ``host``    a stage that remembers every moment, in a process of its own
- ``simulate``       the same stage in virtual time
- ``bench``, ``twins``       servers, loads and simulations for an experiment; the same load in both
- ``registry``       an experiment as data, and the list of them
- ``pictures``       plots that several experiments have
- ``burning``        threads that compute, for interpreters that have nothing of ours
- ``render``, ``summary``, ``pages``, ``cells``, ``draw``  results for people
"""
