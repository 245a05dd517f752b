"""What the providers' modules share: HTTP calls, downloads, and the GPU worker's answers."""
