"""Contains one module per entry of lambdas/domain/providers.py, imported on first use."""
