"""The upstream side: connections to those who serve models.

Rule: this folder speaks HTTP and TLS. What a body means, and who gets it, is not its business: it tells a Sink.
"""
