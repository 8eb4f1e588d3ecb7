"""tagsmith: the bench. Bundle, flash, provision, label and watch tags."""
