"""Files of ``torch.export.save``, read without PyTorch: JSON and raw arrays, never a pickle."""
