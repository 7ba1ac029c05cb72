"""RDTech UM34C USB power meter over Bluetooth serial.

Plug: between supply and load, USB-A, USB-C or micro; pair it (PIN 1234), then ``sudo rfcomm bind 0
AA:BB:CC:DD:EE:FF``. Range 4..24 V, 0..4 A; steps 10 mV, 1 mA, 1 mW; it refreshes twice a second. Accuracy
±(0.2 % + 1 step) volts, ±(0.8 % + 3 steps) amps (maker's manual). Semantics: instants. Integrity: id, XOR
over 32 of its bytes, V·I against W. Sources of the wire format: see ``_um.py``.

Renewal: twice a second.
Counters: ten groups of 1 mAh and 1 mWh; the selected one counts.
Loss: none: there is no sequence number.
Tested on: an emulated wire; real hardware: none yet.
"""

from energymeter.drivers.protocols.um import Model, UmMeter
from energymeter.reading import Band, Facts

__all__ = ["Um34c"]


class Um34c(UmMeter):
    """``um34c@/dev/rfcomm0``; ``timeout``: seconds one question may take."""

    model = Model(
        name="um34c",
        id=0x0D4C,
        volts_step=0.01,
        amps_step=0.001,
        xor_trailer=True,
        facts=Facts(
            volts=Band(gain=0.002, offset=0.01, resolution=0.01),
            amps=Band(gain=0.008, offset=0.003, resolution=0.001),
            watts=Band(gain=0.01, offset=0.01, resolution=0.001),
            default_hz=2.0,
            max_hz=2.0,
            renewal_seconds=0.5,
            max_watts=24 * 4.0,
        ),
    )
