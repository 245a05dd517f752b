"""Calls external addresses: one exchange under one deadline, with permitted hosts alone."""
