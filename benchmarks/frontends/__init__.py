"""Models from files through their front ends, beside the programs that they come from."""
