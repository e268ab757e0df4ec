"""ROM images in the formats that simulators, synthesis and boards read."""
