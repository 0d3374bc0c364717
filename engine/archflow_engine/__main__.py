"""`python -m archflow_engine` is `archrun`."""

from archflow_engine.cli import main

main()
