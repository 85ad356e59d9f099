"""The whole system on photos, folders and video: people are found, anonymized and put back (thesis Figure 1.1)."""
