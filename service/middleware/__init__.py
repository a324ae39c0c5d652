"""What every request passes, independent of one another."""
