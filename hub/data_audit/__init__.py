"""What a journey needs to know of people, which source knows it, for how many, how fresh, and what to mend first."""
