"""The BIOS status: what the power-on self test found, every five seconds."""

from collections.abc import Sequence

import numpy as np
import orjson

from twin.events.channels import CHANNELS
from twin.events.encode.envelope import Envelope
from twin.events.encode.roster import Roster
from twin.events.event import Event
from twin.events.ratings import Firmware
from twin.events.views import BiosView, IntArray

__all__ = ["BiosEncoder"]

OK = 1


class BiosEncoder:
    """Encodes `events.v1.bios_status`; the text of a set of results is made once."""

    def __init__(self, roster: Roster, firmware: Firmware) -> None:
        channel = CHANNELS["events.v1.bios_status"]
        self._envelope = Envelope(channel, roster)
        self._firmware = firmware
        self._heads = [
            orjson.dumps(
                {
                    "event_schema_version": 1,
                    "source": bot,
                    "subject": roster.space.subject(bot, channel.subject),
                }
            )[:-1]
            for bot in roster.bots
        ]
        self._healthy = self._results(np.full(len(firmware.devices), OK), {})

    def encode(self, indices: Sequence[int] | IntArray, view: BiosView, sim_ns: int) -> list[Event]:
        """Return one event for each of the bots, in that order."""
        bots = np.asarray(indices, dtype=np.intp)
        moment = self._envelope.moment(sim_ns)
        when = b',"timestamp":"%b",' % moment.rfc3339
        healthy = (view.post_status[bots] == OK).all(axis=1).tolist()
        payloads = [
            b"".join((self._heads[bot], when, self._healthy if well else self._of(bot, view)))
            for bot, well in zip(bots.tolist(), healthy, strict=True)
        ]
        return self._envelope.stamp(bots.tolist(), payloads, moment)

    def _of(self, bot: int, view: BiosView) -> bytes:
        messages = {
            device: view.status_message[bot, device]
            for device in range(len(self._firmware.devices))
            if (bot, device) in view.status_message
        }
        return self._results(view.post_status[bot], messages)

    def _results(self, statuses: IntArray, messages: dict[int, str]) -> bytes:
        results = [
            {
                "device_id": device.device_id,
                "device_name": device.device_name,
                "status": status,
                "status_message": messages.get(place),
            }
            for place, (device, status) in enumerate(
                zip(self._firmware.devices, statuses.tolist(), strict=True)
            )
        ]
        return orjson.dumps(
            {
                "bios_version": self._firmware.bios_version,
                "firmware_version": self._firmware.firmware_version,
                "hardware_profile_hash": self._firmware.hardware_profile_hash,
                "all_systems_go": bool((statuses == OK).all()),
                "post_results": results,
            }
        )[1:]
