"""The detection stage: from images to person crops with masks, keypoints and surface maps."""
