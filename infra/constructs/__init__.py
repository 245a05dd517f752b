"""Contains one construct per capability, to be wired by a stack."""
