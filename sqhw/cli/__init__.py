"""The command line: one command a step, which reads and writes files."""

from sqhw.cli.entry import main

__all__ = ["main"]
