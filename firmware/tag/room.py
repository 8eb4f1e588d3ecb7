"""The journal's room: what is settled, and which file goes when it is full. Loaded when that happens."""

from tag.records import counter_of
from tag.segments import last_counter, list_segments, make_folder, read_segment, remove
from tag.settled import Settled, decode_settled, encode_settled, unsettled_parts
from tagwire.ranges import intersection

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tag.pending import Pending
    from tag.segments import Segment
    from tagwire.ranges import Ranges


def drop(folder: str, pending: "Pending", count: int) -> None:
    """Delete so many files: the oldest whose samples are all settled, then the oldest. Raises OSError."""
    files = list_segments(folder)
    settled = read_settled(folder)
    unsettled = [
        unsettled_in(folder, files[index], files[index + 1].base, settled.ranges) for index in range(len(files) - 1)
    ]
    order = sorted(range(len(unsettled)), key=lambda index: (unsettled[index] > 0, index))
    for index in order[:count]:
        if unsettled[index]:
            # Counted first: a power cut in between counts them twice, never not at all.
            settled = Settled(settled.ranges, settled.lost + unsettled[index])
            write_settled(folder, settled)
            if pending.unsettled is not None:
                pending.unsettled = max(pending.unsettled - unsettled[index], 0)
        remove(folder, files[index].base)


def unsettled_in(folder: str, segment: "Segment", following: int, settled: "Ranges") -> int:
    """How many samples of a file are not settled. `following`: the counter where the next file begins."""
    if following <= segment.base:
        return 0
    left, is_all = unsettled_parts(segment.base, following - 1, settled)
    if is_all:
        return segment.records
    count = 0
    if left:
        for record in read_segment(folder, segment.base):
            counter = counter_of(segment.base, record)
            if intersection([(counter, counter)], left):
                count += 1
    return count


def count_unsettled(folder: str, pending: "Pending", settled: "Ranges | None" = None) -> int:
    """How many samples of the journal are not settled. `settled`: None: as the file says. May raise OSError."""
    if settled is None:
        settled = read_settled(folder).ranges
    files = list_segments(folder)
    count = 0
    last = -1
    for index, segment in enumerate(files):
        if index + 1 == len(files):
            last = last_counter(folder, segment)
            following = last + 1
        else:
            following = files[index + 1].base
        count += unsettled_in(folder, segment, following, settled)
    for record in pending.after(last):
        counter = counter_of(pending.base, record)
        if not intersection([(counter, counter)], settled):
            count += 1
    return count


def read_settled(folder: str) -> Settled:
    """What is settled; nothing, when the file is missing or damaged: then it is sent again, and settled again."""
    try:
        with open(folder + "/settled", "rb") as file:
            return decode_settled(file.read()) or Settled([], 0)
    except OSError:
        return Settled([], 0)


def write_settled(folder: str, settled: Settled) -> None:
    """LittleFS keeps the old content until the new one is whole. Raises OSError."""
    try:
        file = open(folder + "/settled", "wb")
    except OSError:
        make_folder(folder)
        file = open(folder + "/settled", "wb")
    with file:
        file.write(encode_settled(settled))
