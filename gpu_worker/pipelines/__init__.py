"""Diffusion pipelines: the table of models, their loading, their prompts, and how they are painted with."""
