"""The catalogue's rows, one module per provider: `CARDS`, its default first, and `RETIRED` where models have ended."""
