"""The operator's check of the catalogue against the configured accounts; no handler imports it."""
