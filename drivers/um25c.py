"""RDTech UM25C USB power meter over Bluetooth serial.

Plug: between supply and load, USB-A, USB-C or micro; pair it (PIN 1234), then
``sudo rfcomm bind 0 AA:BB:CC:DD:EE:FF``. Range 4..24 V, 0..5 A; steps 1 mV, 0.1 mA, 1 mW; it refreshes
twice a second. Accuracy ±(0.05 % + 2 steps) volts, ±(0.1 % + 4 steps) amps (readme of the um25c projects,
which repeat the maker's manual). Semantics: instants.
Integrity: id, trailer
0xFFF1 and V·I against W. Sources of the wire format: see ``_um.py``.

Renewal: twice a second.
Counters: ten groups of 1 mAh and 1 mWh; the selected one counts.
Loss: none: there is no sequence number.
Tested on: an emulated wire; real hardware: none yet.
"""

from energymeter.drivers.protocols.um import Model, UmMeter
from energymeter.reading import Band, Facts

__all__ = ["Um25c"]


class Um25c(UmMeter):
    """``um25c@/dev/rfcomm0``; ``timeout``: seconds one question may take."""

    model = Model(
        name="um25c",
        id=0x09C9,
        volts_step=0.001,
        amps_step=0.0001,
        xor_trailer=False,
        facts=Facts(
            volts=Band(gain=0.0005, offset=0.002, resolution=0.001),
            amps=Band(gain=0.001, offset=0.0004, resolution=0.0001),
            watts=Band(gain=0.0015, offset=0.01, resolution=0.001),
            default_hz=2.0,
            max_hz=2.0,
            renewal_seconds=0.5,
            max_watts=24 * 5.0,
        ),
    )
