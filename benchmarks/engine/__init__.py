"""The engine on real networks: cycles against the bound, area, frequency, images a second."""
