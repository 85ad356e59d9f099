"""The generators of thesis chapter 4: torch modules only, no training, no files."""
