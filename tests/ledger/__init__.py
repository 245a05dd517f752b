"""The kill ledger: real processes run jobs and are killed; then the providers' ledgers and receipts are compared."""
