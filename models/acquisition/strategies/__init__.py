"""The strategies, a file per family."""
