"""AWS on this machine for rehearsal: moto behind a gate that enforces trust, permissions, sessions and faults."""
