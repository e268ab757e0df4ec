"""The memory and multiplier mapping against yosys, and what cutting ROMs saves."""
