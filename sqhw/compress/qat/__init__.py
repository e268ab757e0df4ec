"""Layers that become integers while they learn, and the constants of their arithmetic."""
