"""The catalogue's rows, one module per provider; in each the first card is the provider's default."""
