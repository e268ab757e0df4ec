"""Bit-accurate simulation: the NumPy reference, which defines the arithmetic, and the fast one."""
