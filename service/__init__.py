"""The BentoML service that scores castings with the current model."""
