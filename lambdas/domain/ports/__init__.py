"""The ports: what the use cases need of the world outside, grouped by what they are about."""
