"""The AWS emulator: its process, who may call it, and the template deployed on it."""
