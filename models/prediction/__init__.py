"""From pixels to the numbers and pictures that people see."""
