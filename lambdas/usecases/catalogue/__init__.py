"""What there is to ask for: models and providers."""
