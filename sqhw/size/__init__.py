"""What a network takes of a device, and the account of every size on every basis."""
