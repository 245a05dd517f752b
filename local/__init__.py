"""The laptop run: the deployed template on an emulator, behind a thin front."""
