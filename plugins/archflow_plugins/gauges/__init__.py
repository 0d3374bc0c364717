"""Gauges: what models cost and how fast they are, as others tell it.

Rule: a gauge knows models by the names that the compiler gave it, and nothing of routes or requests.
"""
