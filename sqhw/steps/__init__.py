"""The steps from a trained network to verified RTL, as the command line and the demo take them."""
