"""Clients that show what a stage does; each runs as ``python -m clients.NAME`` from a checkout.

Commands:

- ``slow``      twenty silent connections, and a good client beside them: is it answered?
- ``garbage``   the malformed catalogue, one row a mistake: what does the server reply?
- ``stress``    the document's load for a stage, the model's figures beside it, the ledger
- ``lab``       every table of the document beside ours, and what explains them: a report
- ``pairs``     two stages or settings in turn under the same load, ratios pair by pair
- ``soak``      slow clients, thousands of connections, stops amid floods; what it claims
- ``bench``     stage 8 beside other servers, at the document's load, profiled, and as it grows

What they are made of, bottom up:

- ``replies``      a reply from its bytes, without a socket
- ``http``         a small, fast HTTP/1.1 client: bytes out, one reply in
- ``arrivals``     when requests come, and whose they are: schedules, Zipf's users
- ``loads``        what is sent: the document's load for every stage, as data
- ``flood``        ``run_load``: send a load, keep the outcome of every request
- ``drain``        ``watch_drain``: how fast the backlog goes away
- ``prediction``   the model's figures for a server as it is configured
- ``ledgercheck``  the client's list of events against the server's balances and counters
- ``spawn``        a server of one's own, always stopped
- ``slowloris``    slow clients of four kinds, and a good one beside them
- ``idle``         ten thousand idle connections, and a stop with all of them open
- ``overrun``      more connections than are allowed, or than there are descriptors for
- ``endurance``    ten million requests to one server
- ``witness``      a flood that knows what was sent before a stop, and how it ended
- ``claims``       what an experiment claims, and whether it held
- ``report``       all of it for people, and as JSON
- ``catalogue``    the malformed requests, as data
- ``command``      what the commands share: options, exit status, progress
"""
