"""A small world: real cities, trucks on the way between them, weather, cargo, sky. Pure functions of the time."""
