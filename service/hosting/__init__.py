"""The model versions that a worker holds."""
