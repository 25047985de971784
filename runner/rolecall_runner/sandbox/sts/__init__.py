"""The sandbox's STS: sessions and AssumeRole."""
