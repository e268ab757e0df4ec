"""Codes of weights and positions that other methods store."""
