"""Requests, replies, errors and injected faults of the sandbox."""
