"""Mutated files for every reader: no traceback, bounded time and memory, nothing read wrongly."""
