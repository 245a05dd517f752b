"""One capability each, ready to be wired by a stack."""
