"""Pictures of every kind, sound and spoilt, for what must open them and what must not."""
