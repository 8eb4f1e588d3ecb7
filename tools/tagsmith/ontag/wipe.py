# Runs on the board: forgets who it is and what it has measured. What `tagsmith flash` wrote stays.
import os

FIRMWARE = ("boot.py", "main.py", "tag", "tagwire")

for name in ("provision.json", "provision.new"):
    try:
        size = os.stat(name)[6]
        with open(name, "wb") as file:  # LittleFS writes elsewhere and frees the old block: not a secure erase
            file.write(b"\0" * size)
    except OSError:  # not there, or no room for the zeros
        pass


def remove(folder):
    for entry in list(os.ilistdir(folder)):
        path = folder + entry[0]
        if path[1:] in FIRMWARE:
            continue
        try:
            if entry[1] & 0x4000:
                remove(path + "/")
                os.rmdir(path)
            else:
                os.remove(path)
        except OSError:
            pass


remove("/")
try:
    from esp32 import NVS

    nvs = NVS("tagstack")
    nvs.erase_key("counter")
    nvs.commit()
except (ImportError, AttributeError, OSError):
    pass
try:
    from machine import RTC

    RTC().memory(b"")
except (ImportError, AttributeError):
    pass
left = False
for name in ("provision.json", "provision.new"):
    try:
        os.stat(name)
        left = True
    except OSError:
        pass
print("@" + ("true" if left else "false"))
