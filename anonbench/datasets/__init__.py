"""Where person crops come from."""
