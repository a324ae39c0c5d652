"""Other processes: started, watched, locked out."""
