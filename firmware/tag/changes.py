"""What the platform has changed since the tag was provisioned: its settings, and the generation of its keys."""

import json

from tag.kept import load, owner, save
from tagwire.errors import DecodeError
from tagwire.provision import Provision

TYPE_CHECKING = False
if TYPE_CHECKING:
    Values = dict[str, int | bool | str]

CHANGES_FILE = "changes"


def as_changed(provision: Provision) -> Provision:
    """Who the tag is now. A damaged file is as none, and said on the console: the tag then lacks its generation's keys,
    finds that its counter belongs to another one, and asks for service."""
    generation, settings = read_changes(provision)
    merged = dict(provision.settings)
    merged.update(settings)
    return Provision(provision.tag_id, provision.root_key, generation, provision.company_id, provision.board, merged)


def read_changes(provision: Provision) -> "tuple[int, Values]":
    """The generation, and the settings that differ from the provisioning file's."""
    try:
        data = load(CHANGES_FILE, owner(provision.tag_id, provision.generation))
    except DecodeError as error:
        print("changes: %s" % error)
        data = None
    if data is None:
        return provision.generation, {}
    return max(data[0], provision.generation), json.loads(data[1:])


def write_changes(provision: Provision, generation: int, settings: "Values") -> None:
    """Durable when it returns. Raises OSError."""
    content = bytes([generation]) + json.dumps(settings).encode()
    save(CHANGES_FILE, owner(provision.tag_id, provision.generation), content)
