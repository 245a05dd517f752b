"""Checks the catalogue against the configured accounts, for the operator; no handler imports it."""
