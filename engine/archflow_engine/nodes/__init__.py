"""One runner per node type of the graph.

Rule: a runner holds what its node compiled to and the live kinds it uses; nothing about a request.
"""
