# Runs on the board: forgets who it is. The firmware stays.
import os

for name in ("provision.json", "provision.new", "counter", "counter.new"):
    try:
        size = os.stat(name)[6]
        with open(name, "wb") as file:  # LittleFS writes elsewhere and frees the old block: not a secure erase
            file.write(b"\0" * size)
    except OSError:  # not there, or no room for the zeros
        pass
    try:
        os.remove(name)
    except OSError:
        pass
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
