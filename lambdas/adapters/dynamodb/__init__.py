"""Implements ports with DynamoDB, one module for each kind of item."""
