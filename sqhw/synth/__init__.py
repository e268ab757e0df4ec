"""Place and route of the engine with open tools: what it takes of a device, and its clock."""
