"""Images drawn on the spot, where no real provider is configured."""
