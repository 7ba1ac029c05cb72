"""Draws docs/wiring.svg: an INA219 in the 5 V supply of the board that is measured, read by another one."""

from pathlib import Path

HERE = Path(__file__).parent
STYLE = """
text { font-family: sans-serif; font-size: 15px; fill: #1a1a1a }
.small { font-size: 12px } .box { fill: #ffffff; stroke: #1a1a1a; stroke-width: 1.5 }
.wire { fill: none; stroke-width: 3 } .bus { stroke: #0072b2 } .power { stroke: #d55e00 }
.ground { stroke: #1a1a1a; stroke-dasharray: 7 4 }
""".strip()
DESCRIPTION = (
    "The 5 V of a supply goes to VIN+ of an INA219 module, and from VIN- to the 5 V input of the measured "
    "board. The ground of the supply goes to the measured board and to the module. Pins 1, 3, 5 and 6 of the "
    "reading board go to VCC, SDA, SCL and GND of the module."
)
PINS = (("VCC", "pin 1", "bus"), ("SDA", "pin 3", "bus"), ("SCL", "pin 5", "bus"), ("GND", "pin 6", "ground"))


def label(x: float, y: float, text: str, kind: str = "small", anchor: str = "middle") -> str:
    """A word in the drawing."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{text}</text>'


def box(x: int, y: int, width: int, title: str, *lines: str) -> str:
    """A labelled box, 90 high."""
    middle = x + width / 2
    below = [label(middle, y + 52 + 18 * number, line) for number, line in enumerate(lines)]
    shape = f'<rect class="box" x="{x}" y="{y}" width="{width}" height="90" rx="8"/>'
    return shape + label(middle, y + 30, title, "") + "".join(below)


def wire(kind: str, *points: tuple[int, int]) -> str:
    """A wire along some points."""
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline class="wire {kind}" points="{path}"/>'


def drawing() -> str:
    """The whole drawing."""
    parts = [
        box(20, 270, 150, "5 V supply", "wall adapter", "or power bank"),
        box(310, 270, 240, "INA219 module", "shunt 0.1 Ω, 3.2 A at most", "address 0x40"),
        box(690, 270, 170, "measured board", "5 V input", "(header pins 2 and 6)"),
        box(310, 20, 240, "reading board", "Raspberry Pi or Jetson", "I²C bus 1"),
        wire("power", (170, 300), (310, 300)) + label(240, 292, "5 V to VIN+"),
        wire("power", (550, 300), (690, 300)) + label(620, 292, "VIN− to 5 V"),
        wire("ground", (95, 360), (95, 400), (775, 400), (775, 360)) + label(260, 392, "ground"),
        wire("ground", (430, 360), (430, 400)),
    ]
    for number, (chip, pin, kind) in enumerate(PINS):
        x = 340 + 60 * number
        parts += [wire(kind, (x, 110), (x, 270)), label(x + 6, 132, pin, anchor="start")]
        parts.append(label(x + 6, 256, chip, anchor="start"))
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 880 420" role="img" aria-labelledby="t d">'
        f'<title id="t">Wiring of an INA219</title><desc id="d">{DESCRIPTION}</desc><style>{STYLE}</style>'
        f'<rect width="880" height="420" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    (HERE / "wiring.svg").write_text(drawing(), encoding="utf-8")
