"""What leaves the house: for each customer a bundle with the same access in every form that it may want to apply."""
