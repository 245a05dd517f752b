"""Runs diffusion pipelines: the table of models, their loading, their prompts, and their sampling."""
