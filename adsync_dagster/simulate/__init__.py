"""Runs the whole engine against simulated platforms, in one process, under a drawn fate.

`scenario` says what happens and when, `draw` makes one from a seed, `runner` plays it against
a real Postgres and lets the oracle judge every tick, `minimise` shrinks a failing one, and
`campaign` plays many. The parts that stand in for the world's edges are `io` (faults at any
request, statement or commit), `exchange` (HTTP without sockets), `faulty_database` and `cluster`.
"""
