"""The client side: bytes of HTTP/1.1 and HTTP/2 become exchanges, and replies become bytes.

Rule: a front knows HTTP and its limits; what a path or a body means is the exchange's business.
"""
