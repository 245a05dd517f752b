"""The service: what runs inside the deployed functions."""
