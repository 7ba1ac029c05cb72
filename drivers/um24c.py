"""RDTech UM24C USB power meter over Bluetooth serial.

Plug: between supply and load, USB-A; pair it (PIN 1234), then ``sudo rfcomm bind 0 AA:BB:CC:DD:EE:FF``.
Range 0..24 V, 0..3 A; steps 10 mV, 1 mA, 1 mW; it refreshes twice a second. Accuracy ±(0.5 % + 2 steps)
volts, ±(0.8 % + 4 steps) amps: **from memory of the seller's page, not checked against a manual**.
Semantics: instants. Integrity: id, trailer 0xFFF1 and V·I against W. Sources of the wire format: see
``_um.py``.

Renewal: twice a second.
Counters: ten groups of 1 mAh and 1 mWh; the selected one counts.
Loss: none: there is no sequence number.
Tested on: an emulated wire; real hardware: none yet.
"""

from energymeter.drivers.protocols.um import Model, UmMeter
from energymeter.reading import Band, Facts

__all__ = ["Um24c"]


class Um24c(UmMeter):
    """``um24c@/dev/rfcomm0``; ``timeout``: seconds one question may take."""

    model = Model(
        name="um24c",
        id=0x0963,
        volts_step=0.01,
        amps_step=0.001,
        xor_trailer=False,
        facts=Facts(
            volts=Band(gain=0.005, offset=0.02, resolution=0.01),
            amps=Band(gain=0.008, offset=0.004, resolution=0.001),
            watts=Band(gain=0.013, offset=0.01, resolution=0.001),
            default_hz=2.0,
            max_hz=2.0,
            renewal_seconds=0.5,
            max_watts=24 * 3.0,
        ),
    )
