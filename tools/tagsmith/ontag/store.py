# Runs on the board: writes an identity. ARGUMENTS: [provision.json's bytes, counter's bytes].
# The order is what makes a pulled cable harmless: first the old key goes, then the counter comes (in both of its
# places), and the new key last, by a rename. At every instant the tag has a whole identity, or none and asks for
# service.
import os


def store(provision, counter):
    try:
        os.remove("provision.json")
    except OSError:
        pass
    with open("counter.new", "wb") as file:
        file.write(counter)
    os.rename("counter.new", "counter")
    try:
        from esp32 import NVS

        nvs = NVS("tagstack")
        nvs.set_blob("counter", counter)
        nvs.commit()
    except ImportError:
        pass
    with open("provision.new", "wb") as file:
        file.write(provision)
    os.rename("provision.new", "provision.json")
    if hasattr(os, "sync"):
        os.sync()


store(*ARGUMENTS)
del ARGUMENTS
