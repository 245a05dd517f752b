"""Generates product backgrounds: cuts a product out, generates a scene around it, and keeps the product's pixels."""
