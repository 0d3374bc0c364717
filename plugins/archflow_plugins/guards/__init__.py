"""The guards that come with archflow.

Rule: a guard imports no other guard, and nothing heavy before it is opened.
"""
