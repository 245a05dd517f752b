"""Batching: requests for the same model are gathered and painted together."""
