"""The mutant table: faults put into the RTL, and whether the volume bench notices them."""
