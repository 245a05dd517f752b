"""Which models are asked for an image, in which order, and when another one is."""
