"""What a model's probabilities are worth."""
