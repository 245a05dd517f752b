"""Decoding, checking, scaling and compositing of pictures."""
