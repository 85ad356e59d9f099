"""Feature extractors and the store of what they computed."""
