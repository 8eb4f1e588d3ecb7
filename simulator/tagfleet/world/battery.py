"""A lithium-ion cell: its voltage by charge and temperature. Pure.

Shapes as data sheets of 18650 cells show them: a steep end, and an inner resistance that doubles each 20 K of cold. The
load is a radio burst. Uncalibrated; a cell is replaced by a full one when it is empty.
"""

import numpy as np

from tagfleet.world.noise import Floats

LIFE_S = 200 * 86_400.0
SAG_25C_MV = 12.0  # 80 mA through 0.15 ohm
DOUBLES_K = 20.0


def voltage_mv(t_s: Floats, phase: Floats, temperature_c: Floats, life_s: float = LIFE_S) -> Floats:
    """The terminal voltage under load of cells that were full `phase` lives before Unix time 0."""
    age = t_s * (1 / life_s) + phase
    charge = 1.0 - (age - np.floor(age))
    open_mv = 3300.0 + charge * (1600.0 + charge * (-2000.0 + charge * 1250.0))
    colder_k = np.minimum(25.0 - temperature_c, 75.0)
    return np.asarray(open_mv - SAG_25C_MV * np.exp2(colder_k * (1 / DOUBLES_K)))
