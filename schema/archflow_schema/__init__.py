"""What things are: the values that the compiler, the plugins and the engine share.

Rule: values only. Nothing here opens a file or a socket, reads the environment or knows the time.
Rule: imports msgspec and the standard library, never another archflow package.
"""
