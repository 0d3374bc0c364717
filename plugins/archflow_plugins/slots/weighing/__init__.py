"""Weighing: how likely a piece of what was said is a slot's free text, by trained trees; README.md is its card."""
