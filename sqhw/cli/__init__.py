"""The command line: one verb a step, files in between."""

from sqhw.cli.entry import main

__all__ = ["main"]
