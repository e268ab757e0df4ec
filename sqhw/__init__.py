"""From a trained network and a board to verified RTL and ROM images that fit."""

__version__ = "0.1.0"
