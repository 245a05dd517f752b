"""Contains the catalogue's rows, one module per provider: `CARDS`, the default first, and `RETIRED` if models ended."""
