"""Results, their journal, and the forms in which people and programs read them."""
