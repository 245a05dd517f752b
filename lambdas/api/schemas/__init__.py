"""What clients may send, and what they get: one module for each group of routes."""
