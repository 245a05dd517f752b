"""Measures the costs of the service."""
