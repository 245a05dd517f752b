"""Contains the constructs of the GPU worker on SageMaker."""
