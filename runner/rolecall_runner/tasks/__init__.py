"""What is done with one target: (target, context) -> Result."""
