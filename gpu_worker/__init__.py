"""The GPU worker: a container that paints with models of our own, behind SageMaker or on a machine at hand."""
