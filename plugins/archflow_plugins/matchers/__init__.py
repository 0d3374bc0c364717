"""Matchers: who finds which prompt target a conversation asks for.

Rule: a matcher knows options and conversations, and nothing of the services behind the options.
"""
