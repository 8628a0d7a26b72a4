"""One module a peer, each with ``build(workload, threads) -> step(n)`` and ``version()``."""
