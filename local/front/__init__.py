"""Serves the public address, with the limits and answers of API Gateway."""
