"""How the service reaches out to addresses: one exchange under one deadline, and which hosts it may be with."""
