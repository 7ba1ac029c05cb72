"""Board profiles: complete, consistent, and found by whatever people call them."""

from pathlib import Path

import pytest

from energymeter.boards import BOARDS, GENERIC, Board, detect_board, find_board
from energymeter.errors import SpecError


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_profile_is_consistent(board: Board) -> None:
    assert board.source
    known = [w for w in (board.idle_watts, board.busy_watts, board.max_watts) if w is not None]
    assert known == sorted(known)
    assert all(w > 0 for w in known)
    low, high = board.watts_range
    assert 0 <= low < high


def test_names_and_aliases_are_unique() -> None:
    words = [w.lower() for b in (*BOARDS, GENERIC) for w in (b.name, b.title, *b.aliases)]
    assert len(words) == len(set(words))


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pi4", "pi4"), ("Pi 4", "pi4"), ("PI_4", "pi4"), ("Raspberry Pi 4 Model B", "pi4"), ("rpi5", "pi5"),
     ("coral", "coral"), ("nano", "jetson-nano"), ("generic", "generic")],
)  # fmt: skip
def test_find_board(name: str, expected: str) -> None:
    assert find_board(name).name == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pi44", "did you mean pi4?"),
        ("jetson-nan", "did you mean jetson-nano?"),
        ("", "choose one of pi-zero-w, "),
    ],
)
def test_unknown_board_names_the_nearest(name: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        find_board(name)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("Raspberry Pi Zero W Rev 1.1", "pi-zero-w"),
        ("Raspberry Pi Zero 2 W Rev 1.0", "pi-zero-2w"),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", "pi3b+"),
        ("Raspberry Pi 4 Model B Rev 1.4", "pi4"),
        ("Raspberry Pi 5 Model B Rev 1.0", "pi5"),
        ("Freescale i.MX8MQ Phanbell", "coral"),
        ("Google i.MX8MQ Phanbell", "coral"),
        ("Google Coral MT8167", "coral-mini"),
        ("NVIDIA Jetson Nano Developer Kit", "jetson-nano"),
        ("NVIDIA Jetson Nano 2GB Developer Kit", "jetson-nano-2gb"),
        ("NVIDIA Jetson Xavier NX Developer Kit", "xavier-nx"),
        ("Jetson-AGX", "agx-xavier"),
        ("NVIDIA Orin Nano Developer Kit", "orin-nano"),
        ("NVIDIA Jetson Orin Nano Engineering Reference Developer Kit Super", "orin-nano"),
        ("Jetson AGX Orin", "agx-orin"),
        ("QEMU Virtual Machine", None),
    ],
)
def test_detect_board_by_its_device_tree(model: str, expected: str | None, tmp_path: Path) -> None:
    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_bytes(model.encode() + b"\0")
    board = detect_board(str(tmp_path))
    assert (board.name if board else None) == expected


def test_no_device_tree(tmp_path: Path) -> None:
    assert detect_board(str(tmp_path)) is None


def test_course_currents() -> None:
    """4 Ah lasts 26 h, 7 h and 2 h in the course's budget."""
    amps = [find_board(name).course_amps for name in ("pi-zero-w", "pi4", "jetson-nano", "coral")]
    assert amps == [0.15, 0.6, 2.0, 2.0]


def test_no_figures_is_said() -> None:
    with pytest.raises(SpecError, match="Coral Dev Board Mini: measure it"):
        _ = find_board("coral-mini").span_watts


def test_the_header_of_every_raspberry_pi_has_its_bus_and_those_of_jetsons_theirs() -> None:
    buses = {board.name: board.i2c_bus for board in BOARDS}
    assert {bus for name, bus in buses.items() if name.startswith("pi")} == {1}
    assert [buses[name] for name in ("jetson-nano", "xavier-nx", "agx-xavier", "orin-nano", "agx-orin")] == [
        1,
        8,
        8,
        7,
        7,
    ]


FIGURES = {
    "pi-zero-w": (5.1, 0.51, 1.79, 6.1, 0.15, 1, "rail"),
    "pi-zero-2w": (5.1, None, 1.79, 10.2, None, 1, "rail"),
    "pi3b+": (5.1, 2.05, 4.3, 12.8, None, 1, "rail"),
    "pi4": (5.1, 3.06, 6.4, 15.3, 0.6, 1, "rail"),
    "pi5": (5.1, 2.7, 11.1, 25.5, None, 1, "rail"),
    "coral": (5.0, 2.8, 5.4, 15.0, 2.0, 1, "rail"),
    "coral-mini": (5.0, None, None, None, None, None, "rail"),
    "coral-usb": (5.0, 0.3, 1.0, 4.5, None, None, "rail"),
    "jetson-nano": (5.0, 1.4, 8.0, 20.0, 2.0, 1, "rail"),
    "jetson-nano-2gb": (5.0, 2.9, 7.2, 15.0, 2.0, 1, "wall"),
    "xavier-nx": (5.0, None, 4.07, 45.0, None, 8, "rail"),
    "agx-xavier": (19.0, 9.5, 28.0, 65.0, None, 8, "wall"),
    "orin-nano": (5.0, 4.76, 15.0, 45.0, None, 7, "rail"),
    "agx-orin": (19.0, None, None, 90.0, None, 7, "rail"),
    "generic": (5.0, 2.0, 6.0, None, None, None, "rail"),
}
"""Rail in V; idle, busy and most in W; the course's current in A; bus of the header; where it is measured.

As the sources say that each profile names: to change one, change it here as well.
"""


def test_the_figures_are_those_of_the_sources() -> None:
    found = {
        board.name: (
            board.rail_volts,
            board.idle_watts,
            board.busy_watts,
            board.max_watts,
            board.course_amps,
            board.i2c_bus,
            board.place,
        )
        for board in (*BOARDS, GENERIC)
    }
    assert found == FIGURES
