"""A configuration drafted from an API: from an OpenAPI document, or from the source of a FastAPI or Flask application.

Rule: sources are read, never imported or run, and nothing that they refer to is fetched.
Rule: what a prompt target cannot express is a comment where it is missing, and a note; nothing is left out in silence.
Rule: whatever the bytes, the outcome is a draft that `archc check` takes, or an error with a place; never an exception.
"""
