"""What decides where a request goes: the engine's nodes and `archc explain --prompt` share it.

Rule: nothing here knows an exchange, a socket or a file; who calls writes down what was decided.
"""
