"""What is known of each customer over time: handed over, applied, verified, drifting, failed since."""
