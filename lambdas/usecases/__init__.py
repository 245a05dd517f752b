"""What the service does, as functions over ports."""
