"""Examples of every command, from its words to shell lines: together they use each of its options."""

_RUN = "energymeter run --source sim:pi4 --rate 50 --out run.csv -- sleep 0.3"
_POINTS = (
    r"printf 'channel,shown,reference\namps,0.0012,0\namps,0.2003,0.203\namps,0.5003,0.5072\n' > points.csv"
)
_CARD = (
    "energymeter calibrate sim:pi4 --points points.csv --reference 'Fluke 17B+' "
    "--amps-accuracy '1.5%+3*0.001' --card card.json"
)
_LAKE = "energymeter lake generate lake --boards 2 --hours 1 --rate 1"


def _query(name: str, more: str = "") -> list[str]:
    """A question to a small lake, with the options that all questions have."""
    return [
        _LAKE,
        f"energymeter lake {name} lake --include simulated --include uncalibrated --model resnet50 "
        f"--variant int8 --since 2026-11-01 --until 2026-11-02 --least-coverage 90% --engine duckdb --json{more}",
    ]


def _store(name: str, more: str = "") -> list[str]:
    """The same question to a store that speaks S3."""
    return [f"energymeter lake {name} s3://energy/lake --endpoint http://127.0.0.1:9000{more}"]


EXAMPLES: dict[str, list[str]] = {
    "energymeter devices": [
        "energymeter devices --seconds 1 --json --bundle found.txt",
        "energymeter devices --seconds 1 --permissions",
    ],
    "energymeter log": [
        "energymeter budget new lab --battery phone --share test=20%",
        _POINTS,
        _CARD,
        "energymeter log sim:pi4 --duration 0.3 --rate 50 --out run.csv --calibration card.json --celsius 21",
        "energymeter log sim:pi4 --duration 0.3 --rate 50 --out run.csv --force --no-calibration "
        "--require simulated --budget lab --stage test",
        "energymeter log manual:5V,0.6A --duration 0.3 --nominal-volts 5 --json",
    ],
    "energymeter live": [
        "energymeter budget new lab --battery phone --share test=20%",
        _POINTS,
        _CARD,
        "energymeter live sim:pi4 --duration 0.3 --plain --battery 4000mAh --basis rail --grid DEU "
        "--calibration card.json --celsius 21",
        "energymeter live sim:pi4 --duration 0.3 --rate 50 --out run.csv --force --no-calibration "
        "--require simulated --nominal-volts 5 --budget lab --stage test",
    ],
    "energymeter run": [
        "energymeter budget new lab --battery phone --share test=20%",
        _POINTS,
        _CARD,
        "energymeter run --source sim:pi4 --repeat 2 --warmup 1 --idle 0.2 --calibration card.json "
        "--celsius 21 --json -- sleep 0.1",
        "energymeter run --source sim:pi4 --rate 50 --out run.csv --force --phase-on '^epoch ([0-9]+)' "
        "-- sh -c 'for e in 1 2; do echo epoch $e; sleep 0.1; done'",
        "energymeter run --source sim:pi4 --require simulated --no-calibration --nominal-volts 5 "
        "--budget lab --stage test -- sleep 0.1",
    ],
    "energymeter serve": [
        "energymeter serve sim:pi4 --group energymeter --unit system",
        "energymeter serve --print rules",
    ],
    "energymeter mark": [
        "energymeter run --source sim:pi4 -- "
        "sh -c 'energymeter mark load start; sleep 0.1; energymeter mark load stop'",
    ],
    "energymeter compare": [
        _POINTS,
        _CARD,
        "energymeter compare --source sim:pi4 --rate 100 --runs 4 --min-seconds 0.05 --warmup 1 "
        "--idle 0.02 --cooldown 0.01 --seed 3 --prepare true --require simulated --calibration card.json "
        r"--unit image --units-regex '(\d+) images' --workload 'Ten images' --zone DEU --battery phone "
        "--name short --name long --out kept --anyway -- sh -c 'echo 10 images' --- sh -c 'echo 9 images'",
        "energymeter compare --source manual:5V,0.6A --runs 3 --min-seconds 0.02 --warmup 0 --idle 0 "
        "--no-calibration --per 20 --save-baseline base.json --force -- true",
        "energymeter compare --source manual:5V,0.6A --runs 4 --min-seconds 0.02 --warmup 0 --idle 0 "
        "--baseline base.json --json -- true || test $? = 14",
        "for n in 1 2; do energymeter log sim:pi4 --duration 0.4 --rate 50 --out $n.csv; done",
        "energymeter compare 1.csv --- 2.csv --paired --span 0.1:0.3 --anyway || test $? = 14",
    ],
    "energymeter sweep": [
        _POINTS,
        _CARD,
        "energymeter sweep --over bits=4,8 --source sim:pi4 --rate 100 --runs 3 --min-seconds 0.05 "
        "--warmup 1 --idle 0.02 --cooldown 0.01 --seed 3 --prepare true --require simulated "
        r"--calibration card.json --unit image --units-regex '(\d+) images' --metric-regex 'acc=([\d.]+)' "
        "--workload 'Ten images' --zone DEU --flops 1e9 --bytes 4e6 --peak-gflops 24 --peak-gbytes 4 "
        "--budget-joules 1000 --minutes 5 --out kept --export table.csv --force "
        "-- sh -c 'echo 10 images acc=0.{bits}'",
        "energymeter sweep --over n=1,2 --source manual:5V,0.6A --runs 3 --min-seconds 0.02 --warmup 0 "
        "--idle 0 --no-calibration --per 20 --json -- echo {n}",
    ],
    "energymeter calibrate": [
        _POINTS,
        _CARD + " --celsius 21 --plot residuals.svg",
        r"printf 'channel,shown,reference\nvolts,5.01,5\nvolts,5.2,5.19\nvolts,4.8,4.79\n' > volts.csv",
        "energymeter calibrate sim:pi4 --points volts.csv --reference 'Fluke 17B+' "
        "--volts-accuracy '0.5%+3*0.001' --card volts.json",
        r"printf 'channel,shown,reference\nwatts,2.01,2\nwatts,5.2,5.19\nwatts,4.8,4.79\n' > watts.csv",
        "energymeter calibrate sim:pi4 --points watts.csv --reference 'wattmeter' "
        "--watts-accuracy '0.5%+3*0.001' --card watts.json",
        r"printf 'time_s,mah\n' > usb.csv; "
        'for t in $(seq 0 2 1200); do echo "$t,$((t / 72 * 10))" >> usb.csv; done',
        r"printf 'time_s,voltage_V,current_A\n' > meter.csv; "
        'for t in $(seq 0 2 1200); do echo "$t,5.0,0.49" >> meter.csv; done',
        "energymeter calibrate sim:pi4 --counted usb.csv --log meter.csv --reference UM25C "
        "--amps-accuracy 0.5% --card um25c.json",
    ],
    "energymeter check": [
        "energymeter check sim:pi4 --seconds 0.5 --rate 100 --zero --json",
        "energymeter check sim:pi4 --against 'sim:pi4?noise=0.02' --seconds 1.5 --work -o meters.svg --force",
    ],
    "energymeter align": [
        "python3 -c \"print('time_s,power_W'); [print(f'{t / 10},{2 + 3 * (t // 37 % 2)}') "
        'for t in range(400)]" > a.csv',
        "python3 -c \"print('time_s,power_W'); [print(f'{t / 10 + 1},{2 + 3 * (t // 37 % 2)}') "
        'for t in range(400)]" > b.csv',
        "energymeter align a.csv b.csv --json",
    ],
    "energymeter show": [
        "energymeter log sim:pi4 --duration 0.3 --rate 50 --out run.csv",
        "energymeter show run.csv --channel sim:pi4 --json",
        r"printf 't;u;i;p;e\n0;5,0;600;3000;0\n1;5,0;620;3100;3\n2;5,0;610;3050;6\n' > meter.csv",
        "energymeter show meter.csv --delimiter ';' --decimal , --time t --watts p --unit mW --columns",
        "energymeter show meter.csv --delimiter ';' --decimal , --time t --time-unit s --watts p --unit mW "
        "--semantics mean --board pi-4",
        "energymeter show meter.csv --delimiter ';' --decimal , --time t --volts u --volts-unit V --amps i "
        "--amps-unit mA --joules e --joules-unit J",
    ],
    "energymeter plot": [
        _RUN,
        "energymeter plot run.csv -o run.svg --title 'Idle board' --histogram --budget-mah 6",
        "energymeter plot run.csv -o run.svg --channel sim:pi4 --force",
    ],
    "energymeter report": [
        "energymeter run --source sim:pi4 --repeat 3 --out run.csv -- sleep 0.1",
        "energymeter compare --source manual:5V,0.6A --runs 4 --min-seconds 0.02 --warmup 0 --idle 0 "
        "--out kept --anyway -- true --- true",
        "energymeter report run.csv -o report.md --span run --skip 1 --units 10 --unit inference --name MobileNet "
        "--parameters 4.2M --flops 0.57G --accuracy 70.8% --batch 1 --input-size 224x224x3 "
        "--hardware 'Raspberry Pi 4 rev 1.4' --idle 2.4 --grid USA --region California --efficiency 0.87 "
        "--board pi-4 --years 4 --litres-per-kwh 1.8 --battery phone --comparison kept",
        "energymeter report run.csv -o report.md --force --title 'Lab 2' --workload 'Ten inferences' "
        "--grams-per-kwh 30 --source 'own panels, 2026'",
        "energymeter report run.csv --format boamps --stage inference --task 'image classification' "
        "--data-type image --infrastructure onPremise",
    ],
    "energymeter export": [
        'printf \'import time, energymeter as em\\nwith em.EnergyMeter("sim:pi4", rate_hz=100, out="run.csv") '
        'as m:\\n    with m.span("infer"):\\n        time.sleep(0.2)\\n\' > program.py && python3 program.py',
        'echo \'[{"name": "infer", "ph": "X", "ts": 0, "dur": 200000, "pid": 1, "tid": 1}]\' > trace.json',
        "energymeter export run.csv --to perfetto -o run.pftrace --channel sim:pi4 --rate 10",
        "energymeter export run.csv --to chrome --into trace.json -o merged.json --align infer --span infer",
        "energymeter export run.csv --to chrome --into trace.json -o merged.json --offset 0 --force --json",
    ],
    "energymeter verify": [
        "energymeter run --source manual:5V,0.6A --rate 100 --out run.csv -- sleep 0.3",
        "energymeter verify run.csv --strict --json || test $? = 15",
        "energymeter verify run.csv --uncertainty 5 --coverage 90 --samples 5 --seconds 0.2 --calls 1 "
        "|| test $? = 15",
    ],
    "energymeter push": [
        "energymeter budget new lab --battery phone",
        _RUN,
        "energymeter report run.csv -o report.html",
        "energymeter push run.csv --to lake --board pi-4 --model resnet50 --variant int8 --commit a1b2c3 "
        "--units 100 --unit inference --host pi-17 --report report.html --budget lab --clock-offset 0.2 "
        "--clock-uncertainty 0.05",
        "energymeter push run.csv --to lake --model resnet50 --host pi-17 --force",
        r"printf 'time_s,power_W\n0,3\n1,3.1\n2,3\n' > meter.csv",
        "energymeter run --source sim:pi4 --out spans.csv --phase-on ready -- sh -c 'echo ready; sleep 0.2'",
        "energymeter push spans.csv --to lake --host pi-19 --span ready --units 1 --unit call",
        "energymeter push meter.csv --to lake --started 2026-11-02T10:00:00+01:00 --host pi-18",
    ],
    "energymeter lake battery": _query("battery", " --battery 18650:2500"),
    "energymeter lake class": [
        _LAKE,
        "energymeter lake class lake -o class.html --include simulated --title 'Energy of the class' --names",
        "energymeter lake class lake -o class.html --include simulated --model resnet50 --variant int8 "
        "--since 2026-11-01 --until 2026-11-02 --least-coverage 90% --force",
    ],
    "energymeter lake compact": [_LAKE, "energymeter lake compact lake"],
    "energymeter lake coverage": _query("coverage"),
    "energymeter lake fleet": [
        r"printf 'from,to,g_per_kwh\n2026-11-01T00:00:00Z,2026-11-02T00:00:00Z,310\n' > grid.csv",
        *_query("fleet", " --grid DEU"),
        "energymeter lake fleet lake --include simulated --intensities grid.csv",
    ],
    "energymeter lake generate": [_LAKE + " --first-day 2026-11-01 --seed 7"],
    "energymeter lake per-unit": _query("per-unit"),
    "energymeter lake power": _query("power"),
    "energymeter lake ranking": _query("ranking"),
    "energymeter lake regressions": _query("regressions"),
    "energymeter lake retain": [
        _LAKE,
        "energymeter lake retain lake --samples-days 30 --seconds-days 365 --runs-days 3650",
    ],
    "energymeter budget export": [
        "energymeter budget new lab --battery phone",
        "energymeter budget export lab --format csv > lab.csv",
        "energymeter budget export lab --json",
    ],
    "energymeter budget forecast": [
        "energymeter budget forecast --board jetson-nano --battery 4000mAh --basis rail --duty 0.02",
        "energymeter budget forecast --watts 0.6 --battery powerbank:20000 --solar 10W,3h --hour 8 --json",
        "energymeter budget forecast --idle 0.1 --every 5min --joules 40 --last 168h --measured 2900 "
        "--celsius 5",
        "energymeter budget new lab --battery phone",
        "energymeter budget spend lab --joules 40 --duration 5min",
        "energymeter budget forecast lab --iterations 100",
        r"printf 'time_s,percent\n0,100\n600,98\n1200,96\n1800,94\n' > battery.csv",
        "energymeter budget forecast --log battery.csv --empty 7%",
    ],
    "energymeter budget list": [
        "energymeter budget new lab --battery phone",
        "energymeter budget list --json",
        "energymeter budget list lab --last 5",
    ],
    "energymeter budget new": [
        "energymeter budget new lab --battery 4000mAh --basis cell --volts 3.85 --efficiency 90% "
        "--usable 95% --health 80% --celsius 5 --share train=70% --share test=30%",
        "energymeter budget new bank --battery powerbank:20000 --measured 12400 --json",
    ],
    "energymeter budget reset": [
        "energymeter budget new lab --battery phone",
        "energymeter budget reset lab --note 'charged overnight' --json",
        "energymeter budget reset lab --battery 4000mAh --basis cell --measured 3100 --celsius 21",
    ],
    "energymeter budget spend": [
        "energymeter budget new lab --battery phone --share train=70%",
        "energymeter budget spend lab --joules 900 --duration 5min --stage train --note 'wall meter'",
        "energymeter budget spend lab --amend 1 --wh 0.2 --json",
        "energymeter budget spend lab --undo 1",
    ],
    "energymeter budget status": [
        "energymeter budget new lab --battery phone --share train=70%",
        "energymeter budget status lab --stage train --json",
    ],
    "energymeter carbon FILE": [
        "energymeter log sim:pi4 --duration 0.3 --rate 50 --out run.csv",
        "energymeter carbon run.csv --grid USA --region California --place wall --board pi-4 --years 3 "
        "--litres-per-kwh 1.8",
        "energymeter carbon run.csv --grams-per-kwh 30 --source 'own panels, 2026' --efficiency 0.87 --json",
    ],
    "energymeter carbon grids": ["energymeter carbon grids germ --json"],
    "energymeter carbon when": [
        "echo from,to,g_per_kwh > forecast.csv; for h in 0 1 2 3 4 5; do echo "
        '"$(date -u -d "$h hours" +%FT%H:00Z),$(date -u -d "$((h + 1)) hours" +%FT%H:00Z),$((300 - h))"; '
        "done >> forecast.csv",
        "energymeter carbon when --wh 20 --hours 1 --within 4 --forecast forecast.csv --json",
    ],
}

NOT_RUN: dict[str, list[str]] = {
    "energymeter devices": [
        "energymeter devices --acceptance ina3221@1:0x40 --channel 1 --minutes 2 --report acceptance.md",
    ],
    "energymeter live": ["energymeter live um25c@/dev/rfcomm0 --battery phone"],
    "energymeter serve": [
        "energymeter serve --config meters.ini --always --recordings recordings --web",
        "energymeter serve um25c@/dev/rfcomm0 --listen 0.0.0.0:9736 --token-file token "
        "--certificate cert.pem --key key.pem",
        "energymeter serve sim:pi4 --socket ./agent.sock --listen 127.0.0.1:9736 --metrics --budget lab",
        "energymeter serve sim:pi4 --mqtt mqtt://127.0.0.1:1883 --mqtt-title desk "
        "--mqtt-prefix homeassistant",
        "energymeter serve sim:pi4 --otlp http://127.0.0.1:4318 --otlp-host sim:pi4",
        "energymeter serve um25c@/dev/rfcomm0 --record record --record-megabytes 200 --record-minutes 10",
        "energymeter serve sim:pi4 --record record --push s3://class/lake --push-endpoint http://127.0.0.1:9000",
    ],
    "energymeter compare": ["energymeter compare --celsius 50 -- ./a --- ./b"],
    "energymeter sweep": [
        "sudo energymeter sweep --over bits=4,8 --board governor=powersave,performance --celsius 50 "
        "-- ./infer {bits}",
    ],
    "energymeter calibrate": [
        "energymeter calibrate ina3221@1:0x40 --channel 1 --reference um25c@/dev/rfcomm0 --seconds 10 "
        "--keep points.csv",
        "energymeter calibrate ina228@1:0x40 --counter um25c@/dev/rfcomm0 --clock --hours 2",
    ],
    "energymeter push": [
        "energymeter push run.csv --to s3://energy/lake --endpoint http://127.0.0.1:9000",
    ],
    "energymeter lake battery": _store("battery", " --engine spark"),
    "energymeter lake class": _store("class", " -o class.html"),
    "energymeter lake compact": _store("compact"),
    "energymeter lake coverage": _store("coverage"),
    "energymeter lake fleet": _store("fleet"),
    "energymeter lake per-unit": _store("per-unit"),
    "energymeter lake power": _store("power"),
    "energymeter lake ranking": _store("ranking"),
    "energymeter lake regressions": _store("regressions"),
    "energymeter lake retain": _store("retain", " --samples-days 30"),
    "energymeter carbon FILE": [
        "energymeter carbon run.csv --live carbonintensity-gb --zone RG10 --grid GBR",
        "energymeter carbon run.csv --live electricitymaps --zone DE --url http://127.0.0.1:8080",
    ],
    "energymeter carbon when": [
        "energymeter carbon when --wh 20 --hours 1 --live carbonintensity-gb --zone RG10 "
        "--url http://127.0.0.1:8080",
    ],
}
"""Lines that need hardware, a network, a server, other rights or minutes."""
