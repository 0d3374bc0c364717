"""What may be written: the configuration's JSON Schema and reference, and the kinds that plugins offer.

Rule: written from the Structs' own docstrings, never by hand.
"""
