# Runs on the board: who it is. The root key stays where it is.
import json
import os
import sys


def report():
    about = {"chip": "", "release": sys.implementation.version, "machine": sys.implementation._machine}
    try:
        import machine
        from binascii import hexlify

        about["chip"] = hexlify(machine.unique_id()).decode()
    except (ImportError, AttributeError):
        pass
    try:
        os.stat("main.py")
        os.stat("tag")
        about["firmware"] = True
    except OSError:
        about["firmware"] = False
    try:
        # No more than it holds: a read makes room for what it is asked for, and a heap may have none in one piece.
        size = min(os.stat("provision.json")[6], 4097)
        with open("provision.json", "rb") as file:
            data = file.read(size)
    except OSError:
        data = b""
    if data:
        try:
            from tagwire.provision import decode_provision

            provision = decode_provision(data)
            about["tag_id"] = provision.tag_id
            about["generation"] = provision.generation
            about["board"] = provision.board
            about["company_id"] = provision.company_id
            about["settings"] = provision.settings
            try:
                from tag.changes import read_changes

                about["in_force"] = read_changes(provision)[0]
            except Exception:  # an earlier firmware, or a damaged file: the tag has said so on its console
                pass
        except Exception as error:
            about["fault"] = "%s" % error
    limits = []
    try:
        from tag.places import read_limits

        limits = [limit for limit in read_limits() if limit is not None]
    except Exception:
        pass
    about["counter"] = max(limits) if limits else None
    print("@" + json.dumps(about))


report()
