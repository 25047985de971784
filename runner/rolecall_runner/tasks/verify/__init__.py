"""The roll call: for one customer or switch role, does the trust work, refuse, grant and stand as it was handed over."""
