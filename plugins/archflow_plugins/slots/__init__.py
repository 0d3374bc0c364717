"""Slots from a conversation: what can be taken from words exactly, without a model.

Rule: pure and synchronous; the clock is handed in, and nothing is read from anywhere.
Rule: a value is a piece of the conversation, or follows from one by rules that stand here; nothing is guessed.
"""
