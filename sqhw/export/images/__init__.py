"""Memory images for other tools: one format a file, all behind one protocol."""
