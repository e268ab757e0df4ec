"""How long a projection of the joint compressor takes."""
