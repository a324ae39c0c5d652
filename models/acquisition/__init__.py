"""Which castings to label next."""
