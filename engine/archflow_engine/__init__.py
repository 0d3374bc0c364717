"""graph.bin becomes a running gateway.

Rule: the engine knows graphs, not configurations: it never imports the compiler.
Rule: no vendor, model or wire format is named here; they arrive as kinds, by the names that the graph holds.
"""
