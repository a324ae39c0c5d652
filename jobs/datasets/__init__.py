"""Data sets: what lies in them, and how they are split."""
