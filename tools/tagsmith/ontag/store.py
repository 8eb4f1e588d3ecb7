# Runs on the board: writes an identity. ARGUMENTS: [provision.json's bytes, first counter].
# The order is what makes a pulled cable harmless: first the old key goes, then the counter comes (in both of its
# places), and the new key last, by a rename. At every instant the tag has a whole identity, or none and asks for
# service.
import os

from tag.places import write_limit


def store(provision, counter):
    try:
        os.remove("provision.json")
    except OSError:
        pass
    complaints = write_limit(counter)
    if complaints:
        raise OSError("; ".join(complaints))
    with open("provision.new", "wb") as file:
        file.write(provision)
    os.rename("provision.new", "provision.json")


store(*ARGUMENTS)
del ARGUMENTS
