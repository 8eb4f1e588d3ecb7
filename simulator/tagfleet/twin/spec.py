"""What a twin is made of. Pure."""

from collections.abc import Callable
from typing import NamedTuple

from tagfleet.world.environment import Environment
from tagwire.provision import Provision

World = Callable[[float], Environment]  # from Unix seconds to what surrounds the tag


class TwinSpec(NamedTuple):
    """One twin: who it is, the counter that it is provisioned with, and its surroundings.

    image: its file system as a bench left it, identity included; None: this installation's firmware. probe: what a
    temperature probe is in, as (degrees Celsius, ignored) of Unix seconds; None: what the tag is in.
    """

    provision: Provision
    first_counter: int
    world: World
    image: bytes | None = None
    probe: Callable[[float], tuple[float, float]] | None = None
