"""What a graph does, for people: in words, as a picture, and compared with another.

Rule: everything here reads a graph and nothing else, so it works on any graph.bin, whoever compiled it.
"""
