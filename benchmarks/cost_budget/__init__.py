"""The budget table: how long it takes, and how near its expectations are to a trained network."""
