"""What an operator sees: log, metrics, history."""
