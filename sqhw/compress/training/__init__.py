"""Common parts of all training: the loop, batches, losses, checkpoints, devices."""
