"""Decodes, checks, scales and composites pictures."""
