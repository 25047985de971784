"""The sandbox's IAM: moto's backends, IAM's own validation, and writes."""
