"""The cycle model against the RTL, on random networks, and what bounds their layers."""
