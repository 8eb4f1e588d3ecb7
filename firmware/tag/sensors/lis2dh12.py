"""ST LIS2DH12: has the tag been moved since it was last asked? (datasheet DocID025056 rev 6, section 8)

Its high-pass filter takes gravity away; what then passes the threshold on any axis is latched, and holds INT1 high.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from machine import I2C

ADDRESS = 0x18  # SA0 to ground; 0x19 where it is left open
WHO_AM_I = 0x0F
IDENTITY = 0x33
CTRL_REG1 = 0x20
INT1_SRC = 0x31
ACTIVE = 0x2F  # 10 Hz, low power (8 bits: 3 uA), all axes
LSB_MG = 16  # of the threshold, at a full scale of 2 g
# CTRL_REG2 to 5: high-pass for INT1; INT1 shows IA1; 2 g; latched. In one write, with the address counting up.
_CONTROLS = bytes([CTRL_REG1 | 0x80, ACTIVE, 0x01, 0x40, 0x00, 0x08])
_INT1_CFG = 0x30
_HIGH_ON_ANY_AXIS = 0x2A


def stirred(i2c: "I2C", threshold_mg: int) -> "bool | None":
    """Whether it felt more than the threshold since the last call; None where it had to be set up first.

    Raises OSError when it does not answer, or is another chip.
    """
    if i2c.readfrom_mem(ADDRESS, WHO_AM_I, 1)[0] != IDENTITY:
        raise OSError(19)
    if i2c.readfrom_mem(ADDRESS, CTRL_REG1, 1)[0] != ACTIVE:  # it has lost power
        i2c.writeto(ADDRESS, _CONTROLS)
        # INT1_THS and INT1_DURATION
        i2c.writeto(ADDRESS, bytes([0x32 | 0x80, min(max(threshold_mg // LSB_MG, 1), 127), 0]))
        i2c.writeto(ADDRESS, bytes([_INT1_CFG, _HIGH_ON_ANY_AXIS]))
        i2c.readfrom_mem(ADDRESS, 0x26, 1)  # REFERENCE: reading it settles the filter
        i2c.readfrom_mem(ADDRESS, INT1_SRC, 1)
        return None
    return bool(i2c.readfrom_mem(ADDRESS, INT1_SRC, 1)[0] & 0x40)
