"""One module a peer.

Each has

    MODULE                      the package it needs
    build(workload, threads)    -> step(n), which does n steps and returns the last loss (``networks.Step``)
    version()                   what is measured
    takes(workload)             whether it can do that workload; without it, any
    at_once(workload)           how many steps are one call, so that n should be a multiple of it; without it, 1

and imports its package only when it is built.
"""
