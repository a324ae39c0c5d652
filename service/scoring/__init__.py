"""From bytes to the body of an answer."""
