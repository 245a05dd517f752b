"""The models in memory, and their weights on disk."""
