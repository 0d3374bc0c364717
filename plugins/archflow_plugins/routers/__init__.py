"""Routers: who finds which preference a conversation is about.

Rule: a router knows options and conversations, and nothing of the models behind the options.
"""
