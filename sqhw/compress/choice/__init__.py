"""What each layer is stored as: options, their costs, and the choice under a budget."""
