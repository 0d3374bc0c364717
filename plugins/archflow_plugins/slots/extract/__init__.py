"""Extractors: each finds one sort of mention in a text, and says where it stands.

Rule: linear in the text; a text of any bytes gives mentions or none, and never raises.
"""
