"""What the engine is: configuration, number and stream formats, ROM layout, latencies."""
