"""Castings drawn on the spot."""
