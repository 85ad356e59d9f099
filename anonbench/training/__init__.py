"""Training of the generators (thesis 4.5-4.8, 5.2)."""
