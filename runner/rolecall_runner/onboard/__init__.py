"""From "your module is on its way" to a verified customer: wait for the apply, call the roll, say what to tell."""
