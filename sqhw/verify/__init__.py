"""Running the RTL in simulators and comparing it with `sqhw.sim`."""
