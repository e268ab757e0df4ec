"""Whether two versions of the engine's Verilog are the same circuit."""
