"""From a quantized network to the contents of the engine's ROMs, and the choices on the way."""
