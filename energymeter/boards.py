"""What is known of the boards people measure: rails, idle and busy draw, sensors, and who says so.

Figures are at the board's own supply rail unless ``place`` says ``wall``. ``None`` means that no
public figure was found; nothing is guessed. A wall figure becomes a rail figure with the supply's
efficiency, 0.873 (0.856 to 0.887) in the one public side-by-side (Sunny-Qin-0314/11-767-group-YU).
"""

from __future__ import annotations

from energymeter.errors import SpecError
from energymeter.lazy import TYPE_CHECKING, NamedTuple
from energymeter.paths import below, peek

if TYPE_CHECKING:
    from typing import Literal


class Board(NamedTuple):
    """One kind of board. Watts and amps are what the whole board draws."""

    name: str
    title: str
    """As people write it."""
    rail_volts: float
    """Nominal; measured rails wander by several percent."""
    idle_watts: float | None
    busy_watts: float | None
    """All cores (or the accelerator) at work; peaks go higher."""
    max_watts: float | None
    """More than its supply or power mode can give: a reading above it is a wrong unit or shunt."""
    source: str
    """Who says so, figure by figure; [M] marks what is from memory and unconfirmed."""
    aliases: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    """Parts of ``/proc/device-tree/model`` that tell this board; the longest match wins."""
    course_amps: float | None = None
    """The round current the edge-energy course budgets with (4 Ah over 0.15, 0.6 or 2 A)."""
    sensor_rails: tuple[str, ...] = ()
    """Rails its own sensor measures, total first; empty: it has none, use an external meter."""
    i2c_bus: int | None = None
    """The bus on header pins 3 and 5."""
    place: Literal["rail", "wall"] = "rail"

    @property
    def watts_range(self) -> tuple[float, float]:
        """What a meter on this board can plausibly read while it runs, in watts."""
        low = 0.0 if self.idle_watts is None else self.idle_watts / 4
        return low, float("inf") if self.max_watts is None else self.max_watts

    @property
    def span_watts(self) -> tuple[float, float]:
        """Idle and busy draw in watts, where both are known.

        Raises:
            SpecError: one of them is not.
        """
        if self.idle_watts is None or self.busy_watts is None:
            raise SpecError(f"no public idle and busy figures are known for the {self.title}: measure it")
        return self.idle_watts, self.busy_watts


_PI_DOCS = "raspberrypi/documentation power-supplies.adoc @025e1ad7"

BOARDS: tuple[Board, ...] = (
    Board(
        name="pi-zero-w",
        title="Raspberry Pi Zero W",
        rail_volts=5.1,
        idle_watts=0.51,
        busy_watts=1.79,
        max_watts=6.1,
        source=f"idle 0.10 A, stress 0.35 A (both Zero), supply 1.2 A: {_PI_DOCS}",
        aliases=("zero-w", "pizero", "pi-zero"),
        models=("Raspberry Pi Zero W",),
        course_amps=0.15,
        i2c_bus=1,
    ),
    Board(
        name="pi-zero-2w",
        title="Raspberry Pi Zero 2 W",
        rail_volts=5.1,
        idle_watts=None,
        busy_watts=1.79,
        max_watts=10.2,
        source=f"typical 0.35 A, supply 2 A: {_PI_DOCS}; no idle figure found",
        aliases=("zero-2w", "pi-zero-2-w", "pizero2"),
        models=("Raspberry Pi Zero 2 W",),
        i2c_bus=1,
    ),
    Board(
        name="pi3b+",
        title="Raspberry Pi 3 Model B+",
        rail_volts=5.1,
        idle_watts=2.05,
        busy_watts=4.3,
        max_watts=12.8,
        source=(f"idle 0.434 A at 4.72 V: silmae (Joulescope); stress 0.85 A (3B), supply 2.5 A: {_PI_DOCS}"),
        aliases=("pi3", "pi3b", "pi-3b+", "rpi3"),
        models=("Raspberry Pi 3 Model B",),
        i2c_bus=1,
    ),
    Board(
        name="pi4",
        title="Raspberry Pi 4 Model B",
        rail_volts=5.1,
        idle_watts=3.06,
        busy_watts=6.4,
        max_watts=15.3,
        source=(
            f"idle 0.60 A, stress 1.25 A, supply 3 A: {_PI_DOCS}; agrees with 3.56 W idle and 5.8 "
            "to 7.5 W busy at the wall (MLPerf Inference v1.0, open/Krai)"
        ),
        aliases=("raspberry-pi", "pi4b", "pi-4", "rpi4", "raspberry-pi-4"),
        models=("Raspberry Pi 4", "Raspberry Pi Compute Module 4"),
        course_amps=0.6,
        i2c_bus=1,
    ),
    Board(
        name="pi5",
        title="Raspberry Pi 5",
        rail_volts=5.1,
        idle_watts=2.7,
        busy_watts=11.1,
        max_watts=25.5,
        source=(
            "idle 0.54 A and busy 9.2 W of PMIC rails (sco-edge/E2FL) through W = 1.1451 x sum + "
            f"0.5879 (jfikar/RPi5-power, one board); supply 5 A: {_PI_DOCS}"
        ),
        aliases=("pi-5", "rpi5", "pi5b"),
        models=("Raspberry Pi 5", "Raspberry Pi Compute Module 5"),
        sensor_rails=("PMIC ADC, 12 rails",),
        i2c_bus=1,
    ),
    Board(
        name="coral",
        title="Coral Dev Board",
        rail_volts=5.0,
        idle_watts=2.8,
        busy_watts=5.4,
        max_watts=15.0,
        source=(
            "idle 2.8 W, webcam and inference 5.4 W: f0cal/google-coral#15; supply 3 A and header bus [M]"
        ),
        aliases=("coral-dev-board", "phanbell"),
        models=("i.MX8MQ Phanbell",),
        course_amps=2.0,
        i2c_bus=1,
    ),
    Board(
        name="coral-mini",
        title="Coral Dev Board Mini",
        rail_volts=5.0,
        idle_watts=None,
        busy_watts=None,
        max_watts=None,
        source="no public figure found",
        aliases=("coral-dev-board-mini",),
        models=("MT8167",),
    ),
    Board(
        name="coral-usb",
        title="Coral USB Accelerator",
        rail_volts=5.0,
        idle_watts=0.3,
        busy_watts=1.0,
        max_watts=4.5,
        source=(
            "0.3 W before and 0.9 to 1.0 W after the first use: google-coral/edgetpu#109, #758; "
            "peak 0.9 A: #154"
        ),
        aliases=("edgetpu-usb", "coral-stick"),
    ),
    Board(
        name="jetson-nano",
        title="NVIDIA Jetson Nano Developer Kit",
        rail_volts=5.0,
        idle_watts=1.4,
        busy_watts=8.0,
        max_watts=20.0,
        source="idle 0.93 to 1.9 W; 8 W load: rbonghi/jetson_stats#485; jack 4 A: NVIDIA forum 158055",
        aliases=("nano", "jetson-nano-4gb"),
        models=("NVIDIA Jetson Nano Developer Kit",),
        course_amps=2.0,
        sensor_rails=("POM_5V_IN", "POM_5V_GPU", "POM_5V_CPU"),
        i2c_bus=1,
    ),
    Board(
        name="jetson-nano-2gb",
        title="NVIDIA Jetson Nano 2GB Developer Kit",
        rail_volts=5.0,
        idle_watts=2.9,
        busy_watts=7.2,
        max_watts=15.0,
        source="idle 2.3 to 3.4 W, busy 5.4 to 9.1 W: five student teams of the course; supply 3 A [M]",
        aliases=("nano-2gb",),
        models=("NVIDIA Jetson Nano 2GB Developer Kit",),
        course_amps=2.0,
        i2c_bus=1,
        place="wall",
    ),
    Board(
        name="xavier-nx",
        title="NVIDIA Jetson Xavier NX Developer Kit",
        rail_volts=5.0,
        idle_watts=None,
        busy_watts=4.07,
        max_watts=45.0,
        source=(
            "VDD_IN 4.07 W at 62 % GPU: public tegrastats; the kit's 19 V 45 W supply and header bus [M]"
        ),
        aliases=("jetson-xavier-nx",),
        models=("NVIDIA Jetson Xavier NX",),
        sensor_rails=("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"),
        i2c_bus=8,
    ),
    Board(
        name="agx-xavier",
        title="NVIDIA Jetson AGX Xavier",
        rail_volts=19.0,
        idle_watts=9.5,
        busy_watts=28.0,
        max_watts=65.0,
        source=(
            "idle 8 to 11 W, busy 9 to 28 W: MLPerf Inference v1.0, open/Krai; 65 W supply and header bus [M]"
        ),
        aliases=("jetson-agx-xavier",),
        models=("Jetson-AGX", "Jetson AGX Xavier"),
        i2c_bus=8,
        place="wall",
    ),
    Board(
        name="orin-nano",
        title="NVIDIA Jetson Orin Nano Developer Kit",
        rail_volts=5.0,
        idle_watts=4.76,
        busy_watts=15.0,
        max_watts=45.0,
        source=(
            "idle 4.76 W at VDD_IN: public tegrastats; busy: its 15 W mode (25 W on Super); kit "
            "supply 45 W and header bus [M]"
        ),
        aliases=("jetson-orin-nano",),
        models=("Orin Nano",),
        sensor_rails=("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC"),
        i2c_bus=7,
    ),
    Board(
        name="agx-orin",
        title="NVIDIA Jetson AGX Orin",
        rail_volts=19.0,
        idle_watts=None,
        busy_watts=None,
        max_watts=90.0,
        source="module up to 60 W: NVIDIA; kit supply 90 W and header bus [M]",
        aliases=("jetson-agx-orin",),
        models=("Jetson AGX Orin",),
        sensor_rails=("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
        i2c_bus=7,
    ),
)

GENERIC = Board(
    name="generic",
    title="unrecognised board",
    rail_volts=5.0,
    idle_watts=2.0,
    busy_watts=6.0,
    max_watts=None,
    source="between the figures of the small boards known here; of no particular board",
)


def find_board(name: str) -> Board:
    """The board called ``name``, by name, alias or title; case, spaces and underscores do not matter.

    Raises:
        SpecError: there is none; the message names the nearest.
    """
    by_key = {_key(word): b for b in (*BOARDS, GENERIC) for word in (b.name, b.title, *b.aliases)}
    key = _key(name)
    if key in by_key:
        return by_key[key]
    import difflib  # heavy, and needed for a slip of the pen only

    near = [by_key[k].name for k in difflib.get_close_matches(key, by_key, n=1)]
    hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(b.name for b in BOARDS)}"
    raise SpecError(f"no board is called {name!r}; {hint}")


def detect_board(root: str = "/") -> Board | None:
    """The board this program runs on, by its device tree; None where it has none or an unknown one."""
    model = peek(below(root, "proc/device-tree/model")) or ""
    matches = [(len(part), b) for b in BOARDS for part in b.models if part in model]
    return max(matches, key=lambda match: match[0])[1] if matches else None


def _key(name: str) -> str:
    return name.lower().replace("_", "-").replace(" ", "-")
