"""`python -m archflow_compiler` is `archc`."""

from archflow_compiler.cli import main

main()
