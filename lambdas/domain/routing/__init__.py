"""Chooses the models for an image: planning, ranking by health, and fallback."""
