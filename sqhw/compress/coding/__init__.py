"""Codes of weights and positions as published compression methods store them."""
