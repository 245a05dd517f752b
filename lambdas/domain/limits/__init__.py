"""Computes limits: requests per minute, concurrent calls, waiting work, and the month's budget."""
