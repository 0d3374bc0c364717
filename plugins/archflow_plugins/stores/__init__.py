"""Where limits keep their counters.

Rule: a store knows keys and numbers; whose they are is the graph's business.
"""
