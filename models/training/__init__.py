"""One training from labelled pixels."""
