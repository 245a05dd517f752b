"""Bounds: requests per minute, calls at a time, waiting work, and the month's budget."""
