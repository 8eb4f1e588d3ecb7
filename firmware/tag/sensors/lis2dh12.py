"""ST LIS2DH12: has the tag been moved or hit since it was last asked? (datasheet DocID025056 rev 6, section 8)

Its high-pass filter takes gravity away; what then passes a threshold on any axis is latched, and holds INT1 high:
motion by the chip's interrupt 1, a shock by its interrupt 2.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

ADDRESS = 0x18  # SA0 to ground; 0x19 where it is left open
WHO_AM_I = 0x0F
IDENTITY = 0x33
CTRL_REG1 = 0x20
CTRL_REG3 = 0x22
INT1 = 0x30  # configuration, source, threshold, duration; those of interrupt 2 follow
INT2 = 0x34
# CTRL_REG1 to 5. Low power (8 bits), all axes; high-pass for the interrupts; what INT1 shows; full scale; latched.
_MOTION = bytes([0x2F, 0x01, 0x40, 0x00, 0x08])  # 10 Hz: 3 uA; 2 g
# A hit lasts milliseconds: 400 Hz, 36 uA; 8 g. The filter begins at 1 Hz, as it does at 0.2 Hz otherwise.
_SHOCK = bytes([0x7F, 0x33, 0x60, 0x20, 0x0A])
_HIGH_ON_ANY_AXIS = 0x2A
_SHOWS_MOTION = 0x40
_SHOWS_SHOCK = 0x20


def felt(i2c: "I2C", motion_mg: int, shock_mg: int) -> "tuple[bool, bool] | None":
    """Whether it felt more than each threshold since the last call; None where it had to be set up first.

    shock_mg: 0: shocks are not looked for. Raises OSError when it does not answer, or is another chip.
    """
    if i2c.readfrom_mem(ADDRESS, WHO_AM_I, 1)[0] != IDENTITY:
        raise OSError(19)
    lsb_mg = 62 if shock_mg else 16  # of a threshold, by the full scale
    motion = bytes([min(max(motion_mg // lsb_mg, 1), 127)])
    shock = bytes([min(shock_mg // lsb_mg, 127)])
    controls = _SHOCK if shock_mg else _MOTION
    if (
        i2c.readfrom_mem(ADDRESS, CTRL_REG1, 1) != controls[:1]  # it has lost power
        or i2c.readfrom_mem(ADDRESS, INT1 + 2, 1) != motion
        or i2c.readfrom_mem(ADDRESS, INT2 + 2, 1) != shock
    ):
        i2c.writeto(ADDRESS, bytes([CTRL_REG1 | 0x80]) + controls)  # bit 7: the address counts up
        i2c.writeto(ADDRESS, bytes([(INT1 + 2) | 0x80]) + motion + b"\0")
        i2c.writeto(ADDRESS, bytes([(INT2 + 2) | 0x80]) + shock + b"\0")
        i2c.writeto(ADDRESS, bytes([INT1, _HIGH_ON_ANY_AXIS]))
        i2c.writeto(ADDRESS, bytes([INT2, _HIGH_ON_ANY_AXIS if shock_mg else 0]))
        i2c.readfrom_mem(ADDRESS, 0x26, 1)  # REFERENCE: reading it settles the filter
        _sources(i2c)
        return None
    return _sources(i2c)


def show(i2c: "I2C", motion: bool, shock: bool) -> None:
    """Let INT1 show these until it is set up anew. Raises OSError."""
    i2c.writeto(ADDRESS, bytes([CTRL_REG3, (_SHOWS_MOTION if motion else 0) | (_SHOWS_SHOCK if shock else 0)]))


def _sources(i2c: "I2C") -> "tuple[bool, bool]":
    """Whether each has been latched; reading it ends that."""
    motion = i2c.readfrom_mem(ADDRESS, INT1 + 1, 1)[0]
    shock = i2c.readfrom_mem(ADDRESS, INT2 + 1, 1)[0]
    return motion & 0x40 > 0, shock & 0x40 > 0
