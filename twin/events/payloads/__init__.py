"""The payload contracts as strict models, to hold what is sent and received against."""
