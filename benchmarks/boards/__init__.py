"""Bitstreams for boards: what was placed beside what the model said, swaps, the link simulated."""
