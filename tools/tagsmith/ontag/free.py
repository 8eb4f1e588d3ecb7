# Runs on the board, first of all: what the application loaded before it was interrupted leaves the heap, as a script of
# ours would not fit beside it.
import gc
import sys

for name in list(sys.modules):
    if name.split(".")[0] in ("tag", "tagwire"):
        del sys.modules[name]
gc.collect()
