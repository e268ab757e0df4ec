"""Speed of the simulator beside other programs."""
