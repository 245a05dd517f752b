"""One module per deployed function."""
