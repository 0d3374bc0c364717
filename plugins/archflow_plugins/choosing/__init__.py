"""Finding which of some described options a conversation is about, as kinds do it: what matchers and routers share.

The arithmetic is `local_models.chooser`'s; here is what a graph stores of it, and who runs it in a worker.

Rule: options are told apart by what they say about themselves; no kind here learns from the conversations it sees.
"""
