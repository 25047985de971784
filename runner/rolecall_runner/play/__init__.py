"""Plays: tasks over accounts in a YAML file, as people who know Ansible expect them."""
