"""Batches requests of the same model and shape, and runs them on the GPU."""
