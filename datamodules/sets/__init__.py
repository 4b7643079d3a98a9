"""Real sets on disk: what they are, how they lie in their folders, their splits, and what leaks into training."""
