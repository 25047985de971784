"""Seeding and provisioning of the sandbox's accounts."""
