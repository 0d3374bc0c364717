"""Prompts on their way: state, conversation, calls, and what is said about them. Their nodes are among the others.

Rule: nothing here calls a service: that is what nodes do.
"""
