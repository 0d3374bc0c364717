"""Configuration -> nodes and edges.

Rule: names are resolved before; nothing here looks one up that could be missing.
Rule: what a kind is asked for stands in its own configuration; no vendor and no wire format is decided here.
"""
