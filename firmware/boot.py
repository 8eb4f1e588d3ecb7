"""Runs first after every reset and every wake. Deliberately empty: a fault here would keep `main.py` from running."""
