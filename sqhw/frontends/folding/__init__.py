"""From operators to the layers of a float network: constants are folded into layers exactly."""
