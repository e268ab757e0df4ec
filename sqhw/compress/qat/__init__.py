"""Layers that become integers while they learn, and the constants with which they compute."""
