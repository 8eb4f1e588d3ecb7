"""What a run is aimed at: hubs inside worker processes, taghub processes, hubs that run elsewhere."""

from tagfleet.targets.base import HubFigures, Target, TargetFailed
from tagfleet.targets.inside import InsideTarget
from tagfleet.targets.taghubs import AirTarget, TaghubTarget

__all__ = ["AirTarget", "HubFigures", "InsideTarget", "TaghubTarget", "Target", "TargetFailed"]
