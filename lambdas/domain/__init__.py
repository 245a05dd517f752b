"""What the service knows, in plain Python: no AWS, no HTTP, no settings."""
