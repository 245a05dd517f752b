"""Contains the code that providers share: HTTP calls, downloads, and the GPU worker's answers."""
