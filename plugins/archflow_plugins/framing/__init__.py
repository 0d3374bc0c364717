"""Byte framings: how a stream of bytes is cut into events. Sans-IO.

Rule: a framing knows no dialect; it hands out bytes and never looks into them.
"""
