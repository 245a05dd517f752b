"""Prompts: checked, and shortened by a language model."""
