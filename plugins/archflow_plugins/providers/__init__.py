"""Who serves models: one table of vendors, and a module only where a vendor differs.

Rule: a provider builds paths and headers; it opens no connection and knows no wire format but by name.
"""
