"""The compiler: arch_config.yaml in, one immutable graph.bin out.

Rule: sync and pure; no clock, no sockets, and the environment is never read on the way to a graph.
Rule: a user's mistake becomes a Diagnostic with a range; an exception is our bug.
"""
