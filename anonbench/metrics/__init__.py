"""Pure functions from arrays to numbers. Nothing here knows a model, a file or a data set.

Zero samples are a ValueError, never a score: a missing value must not look like a perfect one.
"""
