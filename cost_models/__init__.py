"""Costs of a design on a device: the devices, and the results of synthesis for a memory."""
