"""Generates pictures of every kind, valid and corrupted, and sends them through all decoders."""
