"""The GPU worker: a container that generates images with self-hosted models, on SageMaker or on another machine."""
