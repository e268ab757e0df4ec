"""The host's side of a board: its serial port, and runs of images on the board."""
