"""Who tells the outside what happened: access log, traces.

Rule: a tracer never waits for its reader; what cannot be handed over in time is dropped and counted.
"""
