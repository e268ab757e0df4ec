"""What a design costs on a device: the devices, and what synthesis makes of a memory."""
