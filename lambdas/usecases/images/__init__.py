"""One image of a job: which model is asked, the call, and what is stored."""
