"""Accounts from elsewhere (CSV, AWS Organizations, Terraform's outputs) as customers of the manifest."""
