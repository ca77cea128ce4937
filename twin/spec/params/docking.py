"""Params of docking: when a port catches, and how long each stage takes."""

from pydantic import Field

from twin.spec.units import Metres, MetresPerSecond, Params, Point, Seconds

__all__ = ["DockingParams"]


class DockingParams(Params):
    """Component `docking`: two bayonet ports, forward and aft."""

    capture_m: Metres = Field(default=20.0, gt=0, description="Range within which a port catches.")
    capture_mps: MetresPerSecond = Field(
        default=0.5, gt=0, description="Largest radial speed at which it catches."
    )
    capture_hits: int = Field(default=3, ge=1, description="Good readings in a row to catch.")
    soft_capture_s: Seconds = Field(default=2.0, description="From soft capture to hard lock.")
    bridge_s: Seconds = Field(default=1.0, description="From hard lock to an open bridge.")
    detach_s: Seconds = Field(default=2.0, description="From release to free flight.")
    approach_mps: MetresPerSecond = Field(
        default=0.4, gt=0, description="Closing speed of an engaged approach."
    )
    slow_down_s: Seconds = Field(
        default=10.0, gt=0, description="The closing speed is at most the range divided by this."
    )
    station_m: Metres = Field(
        default=60.0, description="How far away the station of a bot is at the start."
    )
    port_a_m: Point = Field(default=(0.0, 0.0, 1.2), description="Port A, body frame.")
    port_b_m: Point = Field(default=(0.0, 0.0, -1.2), description="Port B, body frame.")
