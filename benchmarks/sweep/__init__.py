"""Sweeps: executors beside each other, many small points, and ends by force."""
