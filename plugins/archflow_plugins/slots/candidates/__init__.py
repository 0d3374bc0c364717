"""Candidates: which pieces of a turn may be the value of a slot, and how well each fits.

A score counts what speaks for a piece: that it is of the sort that the slot wants, that words of the slot's name or
description stand near it, its unit, its end of a range, its capitals, the preposition before it.

Rule: a score is only for comparing pieces for the slots of one target; what reaches `ENOUGH` may be taken.
"""
