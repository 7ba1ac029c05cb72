"""What a decoder believes: every limit by itself, just within and just beyond, and every field of a frame."""

import struct

import pytest
from devices.fnirsi import packet
from devices.km003c_meter import adc_block, queue_block
from devices.modbus import modbus_crc
from devices.pzem import PzemDevice
from devices.tc66c import Tc66cDevice, encrypt
from devices.um import XOR_BYTES, UmDevice

from energymeter.drivers import fnirsi, pzem, tc66c
from energymeter.drivers.protocols import km003c, um
from energymeter.drivers.um25c import Um25c
from energymeter.drivers.um34c import Um34c
from energymeter.errors import SourceTimeout
from energymeter.testing import expected_bytes

# PZEM


def pzem_answer(model: str = "004t") -> bytes:
    device = PzemDevice(model)
    return device.receive(pzem.request(1, len(device.registers())))


def closed(body: bytes) -> bytes:
    return body + modbus_crc(body).to_bytes(2, "little")


def test_a_pzem_answer_has_its_function_code_and_its_length() -> None:
    whole = pzem_answer()
    assert pzem.pick(whole, 1, 10) == whole
    other_function = closed(bytes([whole[0], 0x03, *whole[2:-2]]))
    assert pzem.pick(other_function, 1, 10) is None
    other_length = closed(bytes([whole[0], whole[1], whole[2] - 1, *whole[3:-2]]))
    assert pzem.pick(other_length, 1, 10) is None
    assert pzem.pick(whole, 2, 10) is None, "another meter's answer"
    assert pzem.pick(whole, pzem.ANY_ADDRESS, 10) == whole


@pytest.mark.parametrize(("model", "watts"), [("004t", 26_000.0), ("016", 26_000.0), ("017", 90_000.0)])
def test_a_pzem_knows_the_most_that_can_flow_through_it(model: str, watts: float) -> None:
    # 260 V and 100 A of the mains meters' manual; 300 V and 300 A of the DC meters'
    assert pzem.Pzem("/dev/ttyUSB9", model=model).facts.max_watts == watts


# TC66C


def tc66c_plain(**groups: int) -> bytes:
    device = Tc66cDevice()
    plain = bytearray(device.plain())
    numbers = [groups.get(name, 0) for name in ("mah0", "mwh0", "mah1", "mwh1")]
    plain[64 + 8 : 64 + 24] = struct.pack("<4I", *numbers)
    plain[64 + 60 : 128] = struct.pack("<I", modbus_crc(bytes(plain[64 : 64 + 60])))
    return bytes(plain)


def test_both_groups_of_a_tc66c_are_added() -> None:
    frame = tc66c.decode(tc66c_plain(mah0=7, mwh0=30, mah1=5, mwh1=20))
    assert frame.counted.coulombs == pytest.approx(12 * 3.6)
    assert frame.counted.joules == pytest.approx(50 * 3.6)
    assert [group.joules for group in frame.groups] == pytest.approx([30 * 3.6, 20 * 3.6])


@pytest.mark.parametrize("block", [0, 1, 2])
def test_each_block_of_a_tc66c_has_its_mark_and_its_crc(block: int) -> None:
    plain = bytearray(tc66c_plain())
    plain[64 * block + 3] += 1
    plain[64 * block + 60 : 64 * block + 64] = struct.pack(
        "<I", modbus_crc(bytes(plain[64 * block : 64 * block + 60]))
    )
    assert tc66c.fault(bytes(plain)) == f"block {block + 1} does not begin pac{block + 1}"
    plain = bytearray(tc66c_plain())
    plain[64 * block + 30] ^= 1
    assert tc66c.fault(bytes(plain)) == f"the CRC of pac{block + 1} is wrong"


def test_a_broken_answer_of_a_tc66c_is_asked_for_again() -> None:
    good = encrypt(tc66c_plain())
    broken = bytearray(tc66c_plain())
    broken[70] ^= 1
    with expected_bytes((b"getva", encrypt(bytes(broken))), (b"getva", good)) as wire:
        source = tc66c.Tc66c(wire=wire, timeout=0.05)
        with pytest.raises(SourceTimeout):
            source.open()
        source.open()
        source.close()


def test_a_tc66c_has_no_counters_before_its_first_reading() -> None:
    assert tc66c.Tc66c("/dev/ttyACM9").counters() is None


# FNIRSI


@pytest.mark.parametrize(
    ("volts", "amps", "believed"),
    [(60.0, 1.0, True), (60.001, 1.0, False), (5.0, 10.0, True), (5.0, 10.001, False)],
)
def test_what_an_fnirsi_meter_cannot_measure_is_refused(volts: float, amps: float, believed: bool) -> None:
    assert bool(fnirsi.decode(packet([(volts, amps)] * 4))) is believed


def test_only_data_packets_of_an_fnirsi_meter_are_data() -> None:
    assert len(fnirsi.decode(packet([(5.0, 1.0)] * 4))) == 4
    for kind in (0x00, 0x03, 0x05, 0xFF):
        assert fnirsi.decode(packet([(5.0, 1.0)] * 4, kind)) == []


# KM003C


def km003c_packet(block: bytes) -> bytes:
    return struct.pack("<I", km003c.PUT_DATA) + block


@pytest.mark.parametrize(
    ("volts", "amps", "believed"),
    [
        (60.0, 1.0, True),
        (60.001, 1.0, False),
        (-60.001, 1.0, False),
        (5.0, 60.0, True),
        (5.0, 60.001, False),
        (5.0, -60.001, False),
    ],
)
def test_what_a_km003c_cannot_measure_is_refused(volts: float, amps: float, believed: bool) -> None:
    assert bool(km003c.snapshots(km003c_packet(adc_block(volts, amps)))) is believed
    assert bool(km003c.samples(km003c_packet(queue_block([(1, volts, amps)])))) is believed


def test_a_km003c_and_a_km002c_are_found_by_their_usb_ids() -> None:
    assert km003c.USB_IDS == ((0x5FC9, 0x0063), (0x5FC9, 0x0061))
    assert km003c.FACTS.max_watts == 300.0  # 50 V and 6 A


# RDTech UM


@pytest.mark.parametrize(
    ("volts", "amps", "wrong"),
    [(30.0, 1.0, False), (30.01, 1.0, True), (5.0, 6.0, False), (5.0, 6.01, True)],
)
def test_what_a_um_meter_cannot_measure_is_refused(volts: float, amps: float, wrong: bool) -> None:
    said = um.fault(UmDevice("um25c", volts, amps).frame(), Um25c.model)
    assert (said is not None and "cannot flow" in said) is wrong


def test_every_byte_of_the_check_of_a_um34c_counts() -> None:
    device = UmDevice("um34c")
    device.mah, device.mwh = (
        [10_000_001 * (n + 1) for n in range(10)],
        [9_000_003 * (n + 1) for n in range(10)],
    )
    frame = device.frame()
    assert um.fault(frame, Um34c.model) is None
    for offset in XOR_BYTES:
        if offset in (1, 3, 7, 9):  # identity and power have checks of their own
            continue
        spoiled = bytearray(frame)
        spoiled[offset] ^= 1
        assert um.fault(bytes(spoiled), Um34c.model) == "its check byte is wrong", offset


def test_groups_of_a_um_meter_keep_their_order() -> None:
    device = UmDevice("um25c")
    device.mah, device.mwh = list(range(1, 11)), list(range(101, 111))
    frame = um.decode(device.frame(), Um25c.model)
    assert [group.coulombs for group in frame.groups] == pytest.approx([n * 3.6 for n in range(1, 11)])
    assert [group.joules for group in frame.groups] == pytest.approx([n * 3.6 for n in range(101, 111)])
