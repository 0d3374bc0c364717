"""One request and its reply.

Rule: what this is made of knows HTTP replies, deadlines and the walk; what a body means is its dialect's business.
"""

from archflow_engine.exchange.exchange import Exchange

__all__ = ["Exchange"]
