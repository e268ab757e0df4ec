"""What every training loop needs: batches, losses, checkpoints, devices."""
