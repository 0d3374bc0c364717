"""Slot fillers: who takes the parameters of prompt targets from a conversation.

Rule: whoever finds a value, what leaves here is valid for its slot and was said; what nobody said is asked for.
"""
