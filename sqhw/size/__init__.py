"""The resources that a network needs of a device, and the account of its sizes on every basis."""
