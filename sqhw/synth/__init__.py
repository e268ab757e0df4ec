"""Place and route of the engine with open tools: its resources on a device, and its clock."""
