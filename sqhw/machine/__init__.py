"""The definition of the engine: configuration, number and stream formats, ROM layout, latencies."""
