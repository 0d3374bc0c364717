"""The passes between reading and lowering: older forms, defaults, names, secrets.

Rule: a pass reports and goes on; it never raises for a user's mistake.
"""
