"""The providers' modules, one for each entry of lambdas/domain/providers.py. One is imported when it is first used."""
