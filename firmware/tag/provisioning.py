"""Reads who the tag is, from flash. Loaded after a reset, and when settings have changed."""

import struct
import time

from tag.changes import as_changed
from tag.config import FORMAT, NUMBERS, Config
from tag.faults import NO_KEY, ServiceNeeded
from tag.settings import read_settings
from tagwire.errors import TagwireError
from tagwire.keys import beacon_key, id_key
from tagwire.provision import PROVISION_FILE, decode_provision

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.config import Settings
    from tagwire.provision import Provision


def load_config() -> Config:
    """Identity, keys and settings; says on the console what is wrong with a setting. Raises ServiceNeeded."""
    try:
        with open(PROVISION_FILE, "rb") as file:
            provisioned = decode_provision(file.read())
    except OSError:
        raise ServiceNeeded(NO_KEY, "%s is missing" % PROVISION_FILE)
    except TagwireError as error:
        raise ServiceNeeded(NO_KEY, "%s: %s" % (PROVISION_FILE, error))
    provision = as_changed(provisioned)
    settings, complaints = read_settings(provision.settings)
    for complaint in complaints:
        print(complaint)
    config = make_config(provision, settings)
    config.provisioned = provisioned.generation
    return config


def make_config(provision: "Provision", settings: "Settings") -> Config:
    """The form that survives deep sleep, keys derived."""
    numbers = [value & 0xFFFFFFFF for value in settings[:NUMBERS]]  # type: ignore[operator]
    texts = "\n".join((provision.board,) + settings[NUMBERS:])  # type: ignore[arg-type, operator]
    head = struct.pack(
        FORMAT,
        provision.tag_id,
        provision.company_id,
        provision.generation,
        _watches(settings),
        beacon_key(provision.root_key, provision.generation),
        id_key(provision.root_key, provision.generation),
        *numbers,
    )
    return Config(head + texts.encode())


def _watches(settings: "Settings") -> bool:
    """Whether samples have to be compared with anything: a box, or limits that are not the widest."""
    return bool(
        settings.tamper
        or settings.battery_low_mv
        or settings.shock_threshold_mg
        or min(settings.temperature_high_mc, settings.trip_temperature_high_mc) < 125000
        or max(settings.temperature_low_mc, settings.trip_temperature_low_mc) > -80000
        or min(settings.humidity_high_mpct, settings.trip_humidity_high_mpct) < 100000
        or max(settings.humidity_low_mpct, settings.trip_humidity_low_mpct) > 0
    )


def repl_window(window_s: int) -> None:
    """After power came: time to stop the tag and get a prompt, which deep sleep would not give."""
    if window_s:
        print("Ctrl-C within %d s stops this tag" % window_s)
        time.sleep(window_s)
