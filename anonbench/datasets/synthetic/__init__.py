"""Procedural synthetic people with exact masks, surface maps, keypoints and background plates."""
