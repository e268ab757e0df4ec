"""The netlist after synthesis, register moves included, against the simulator."""
