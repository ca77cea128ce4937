"""The audit service: codes, store, service, query."""
