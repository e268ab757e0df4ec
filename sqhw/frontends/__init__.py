"""Ways in: what makes float networks of models from elsewhere."""
