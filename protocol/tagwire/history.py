"""History blocks: many samples in few bytes, each block decodable alone. Portable.

A block is the first counter (u32) and the number of samples (u16), little-endian, then one stream of bits, most
significant first. Samples stand in rising order of their counters. SPEC.md, "History block", is the authority.

Each sample is its shape (16 bits of what rarely changes, usually coded as one bit), then the columns that the shape
says are present, each as the difference to a prediction in an adaptive Rice code. Four predictors run per column and
one that did best lately is used; the decoder (`history_decode`, which a tag does without) runs the same integers, so
neither tables nor parameters are sent.
"""

from tagwire.bits import BitWriter, put_rice, put_sized
from tagwire.errors import EncodeError
from tagwire.fields import HUMIDITY_NA, LATITUDE_NA, LONGITUDE_NA, TEMPERATURE_NA, TIME_CODES, TIME_UNKNOWN, Codes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NamedTuple

    class Record(NamedTuple):
        """One sample as journal and history hold it: the beacon's own codes, with the whole time.

        time_4s: Unix time / 4 s, rounded to nearest, below 2**30; 0 when the time quality is TIME_UNKNOWN. The beacon's
        time code is `time_4s` modulo 1,024. alarm: the beacon was an alarm; its reason stays within the codes.
        """

        counter: int
        time_4s: int
        latitude: int
        longitude: int
        temperature: int
        humidity: int
        battery: int
        fix: int
        motion: int
        time_quality: int
        alarm: bool

else:
    from collections import namedtuple

    Record = namedtuple(
        "Record",
        (
            "counter",
            "time_4s",
            "latitude",
            "longitude",
            "temperature",
            "humidity",
            "battery",
            "fix",
            "motion",
            "time_quality",
            "alarm",
        ),
    )

BLOCK_HEADER_BYTES = 6
BLOCK_SAMPLES_MAX = 0xFFFF
COUNTER_MAX = 0xFFFFFFFF
TIME_4S_MAX = (1 << 30) - 1  # until the year 2106, as 32 bits of seconds
TIME_BITS = 30
COLUMN_BITS = (23, 24, 11, 8)  # latitude, longitude, temperature, humidity: their widths in the body

# The shape of a sample, from the most significant bit: alarm, position present, temperature present, humidity present,
# time quality (2), fix (3), motion (2), battery (5).
SHAPE_BITS = 16
SHAPE_ALARM = 0x8000
SHAPE_POSITION = 0x4000
SHAPE_TEMPERATURE = 0x2000
SHAPE_HUMIDITY = 0x1000
SHAPES_KEPT = 3  # the latest distinct shapes; 0, 10 and 110 name one of them, 1110 a new one, 1111 a gap

FIRST_STEP_RICE = 6  # of the first time step, expected to be about 64 x 4 s
GAP_LEARNT_MAX = 255  # a longer gap in the counters says nothing about the time that one sample takes


def codes_of(record: "Record") -> "Codes":
    """The nine codes of the sample's beacon body."""
    return Codes(*record[2:9], record.time_4s % TIME_CODES, record.time_quality)


def record_of(counter: int, codes: "Codes", time_s: "int | None", alarm: bool = False) -> "Record":
    """The record of a sample: the codes of its body and the Unix time that they were made from (None: not known).

    Raises EncodeError where the two disagree, because history and beacon must agree bit by bit.
    """
    time_4s = 0 if time_s is None else (time_s + 2) // 4
    if time_4s % TIME_CODES != codes.time or (time_s is None) != (codes.time_quality == TIME_UNKNOWN):
        raise EncodeError("time %r is not the time of code %d" % (time_s, codes.time))
    return Record(counter, time_4s, *codes[:7], codes.time_quality, alarm)


class BlockEncoder:
    """Fills one block of at most `limit_bytes` with records in rising order of their counters.

    Codes must be in range, as `fields.to_codes` makes them.
    """

    def __init__(self, limit_bytes: int) -> None:
        self.count = 0
        self._limit_bits = (limit_bytes - BLOCK_HEADER_BYTES) * 8
        self._first = self._last = 0
        self._model = Model()
        self._bits = BitWriter()

    def add(self, record: "Record") -> bool:
        """Take one record; False when it does not fit, then nothing is left but `finish`.

        Raises EncodeError for a counter that does not rise or a time beyond TIME_4S_MAX.
        """
        if not 0 <= record.counter <= COUNTER_MAX or (self.count and record.counter <= self._last):
            raise EncodeError("counter %d after %d" % (record.counter, self._last))
        if not 0 <= record.time_4s <= TIME_4S_MAX:
            raise EncodeError("time %d x 4 s" % record.time_4s)
        bits = self._bits
        mark = bits.mark()
        self._put(record, record.counter - self._last if self.count else 1)
        if bits.length() > self._limit_bits or self.count == BLOCK_SAMPLES_MAX:
            bits.rewind(mark)
            return False
        if not self.count:
            self._first = record.counter
        self._last = record.counter
        self.count += 1
        return True

    def finish(self) -> bytes:
        """The block. Raises EncodeError when it has no sample: `limit_bytes` was too small for even one."""
        if not self.count:
            raise EncodeError("a block needs a sample")
        return self._first.to_bytes(4, "little") + self.count.to_bytes(2, "little") + self._bits.finish()

    def _put(self, record: "Record", gap: int) -> None:
        bits = self._bits
        model = self._model
        if gap > 1:
            bits.put(15, 4)
            put_sized(bits, gap)
        shape = _shape_of(record)
        index = model.shape_index(shape)
        if index < SHAPES_KEPT:
            bits.put((2 << index) - 2, index + 1)
        else:
            bits.put(14, 4)
            bits.put(shape, SHAPE_BITS)
        if record.time_quality != TIME_UNKNOWN:
            if model.time_4s is None:
                bits.put(record.time_4s, TIME_BITS)
            else:
                expected, rice = model.expect_step(gap)
                put_rice(bits, record.time_4s - model.time_4s - expected, rice)
            model.learn_time(record.time_4s, gap)
        for i in columns_present(shape):
            column = model.columns[i]
            value = record[2 + i]
            if column.started:
                expected, rice = column.expect()
                put_rice(bits, value - expected, rice)
                column.learn(value)
            else:
                bits.put(value, COLUMN_BITS[i])
                column.start(value)


def _shape_of(record: "Record") -> int:
    shape = record.time_quality << 10 | record.fix << 7 | record.motion << 5 | record.battery
    if record.alarm:
        shape |= SHAPE_ALARM
    if record.latitude != LATITUDE_NA or record.longitude != LONGITUDE_NA:
        shape |= SHAPE_POSITION
    if record.temperature != TEMPERATURE_NA:
        shape |= SHAPE_TEMPERATURE
    if record.humidity != HUMIDITY_NA:
        shape |= SHAPE_HUMIDITY
    return shape


def columns_present(shape: int) -> "list[int]":
    """Indices into COLUMN_BITS of the columns that a sample of this shape has."""
    columns = [0, 1] if shape & SHAPE_POSITION else []
    if shape & SHAPE_TEMPERATURE:
        columns.append(2)
    if shape & SHAPE_HUMIDITY:
        columns.append(3)
    return columns


class Model:
    """What both ends know after the same samples: the latest shapes, the time, and each column's predictors."""

    def __init__(self) -> None:
        self._shapes: "list[int]" = []
        self.time_4s: "int | None" = None
        self._step = _Column()
        self.columns = (_Column(), _Column(), _Column(), _Column())

    def shape_at(self, index: int) -> "int | None":
        """One of the shapes kept, None where fewer have been sent."""
        return self._shapes[index] if index < len(self._shapes) else None

    def shape_index(self, shape: int) -> int:
        """Where the shape stands, SHAPES_KEPT if it is new; then it moves to the front."""
        shapes = self._shapes
        if shape in shapes:
            index = shapes.index(shape)
            del shapes[index]
        else:
            index = SHAPES_KEPT
            if len(shapes) == SHAPES_KEPT:
                shapes.pop()
        shapes.insert(0, shape)
        return index

    def expect_step(self, gap: int) -> "tuple[int, int]":
        """The time (4 s) to expect after the sample before, over `gap` samples, and its Rice parameter."""
        if not self._step.started:
            return 0, FIRST_STEP_RICE
        step, rice = self._step.expect()
        if gap <= GAP_LEARNT_MAX:
            step *= gap
        return (step if -TIME_4S_MAX <= step <= TIME_4S_MAX else 0), rice

    def learn_time(self, time_4s: int, gap: int) -> None:
        if self.time_4s is not None and gap <= GAP_LEARNT_MAX:
            step = (time_4s - self.time_4s) // gap
            if self._step.started:
                self._step.learn(step)
            else:
                self._step.start(step)
        self.time_4s = time_4s


class _Column:
    """Four predictors and how well each did lately. Integers only, so that both ends get the same.

    They are: the running mean (a parcel at rest under noise), the last value, the last value and half its last change,
    and the last value and its whole last change (a truck on a motorway).
    """

    def __init__(self) -> None:
        self.started = False
        self._count = 0
        self._last = 0
        self._mean_16 = 0  # sixteenths
        self._expected = (0, 0, 0, 0)
        self._misses_64 = [64, 64, 64, 64]  # running mean of each one's absolute misses, 64ths

    def start(self, value: int) -> None:
        """Take the first value."""
        self.started = True
        self._last = value
        self._mean_16 = value << 4
        self._expected = (value, value, value, value)

    def expect(self) -> "tuple[int, int]":
        """The next value as the best predictor sees it, and the Rice parameter for the difference to it."""
        misses = self._misses_64
        miss_64 = min(misses)
        rice = 0
        while miss_64 > 64 << rice:
            rice += 1
        return self._expected[misses.index(miss_64)], rice

    def learn(self, value: int) -> None:
        """Take the next value. The first misses weigh 1, 1/2, 1/4, all later ones 1/8."""
        misses = self._misses_64
        weight = self._count
        if weight < 3:
            self._count += 1
        for i in range(4):
            misses[i] += ((abs(value - self._expected[i]) << 6) - misses[i]) >> weight
        change = value - self._last
        self._last = value
        self._mean_16 += ((value << 4) - self._mean_16) >> 2
        self._expected = ((self._mean_16 + 8) >> 4, value, value + (change >> 1), value + change)
