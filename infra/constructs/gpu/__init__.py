"""The GPU worker on SageMaker, piece by piece."""
