"""The kill ledger: jobs run by real processes that are killed, and the providers' books read afterwards."""
