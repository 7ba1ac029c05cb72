"""Files as other loggers, spreadsheets and people leave them, and the energy that each holds."""
# ruff: noqa: E501 - tools write lines as long as they like

from typing import NamedTuple


class Odd(NamedTuple):
    """A file, and what is true of it."""

    text: str
    joules: float | None
    """``None``: it cannot be known from the file, so it must be asked."""
    asked: bool = False
    """Whether asking is as good an answer as the number."""
    zone: str = "UTC"
    """The machine's."""


def rows(line: str, count: int = 11, **more: object) -> str:
    """So many lines; ``i`` counts them, ``j`` is ten times as much."""
    return "".join(
        line.format(i=i, j=10 * i, wh=10 * i / 3600, mwh=10 * i / 3.6, h=i / 3600, **more) + "\n"
        for i in range(count)
    )


_RUN = "time_s,power_W\n" + rows("{i},10.0")

ODD = {
    "clocks go forward at local midnight": Odd(
        "timestamp,power_W\n"
        + "".join(f"2026-04-23 23:{m:02}:00,10\n" for m in range(50, 60))
        + "".join(f"2026-04-24 01:{m:02}:00,10\n" for m in range(10)),
        10 * 19 * 60, zone="Africa/Cairo",
    ),
    "clocks go back at local midnight": Odd(
        "timestamp,power_W\n"
        + "".join(f"2026-10-29 23:{m:02}:00,10\n" for m in range(0, 60, 10)) * 2
        + "".join(f"2026-10-30 00:{m:02}:00,10\n" for m in range(0, 60, 10)),
        10 * 170 * 60, zone="Africa/Cairo",
    ),
    "clocks go back in the night": Odd(
        "timestamp;Leistung (W)\n"
        + "".join(f"25.10.2026 02:{m:02};10,0\n" for m in range(0, 60, 15)) * 2
        + "".join(f"25.10.2026 03:{m:02};10,0\n" for m in range(0, 60, 15)),
        10 * 11 * 900, asked=True, zone="Europe/Berlin",
    ),
    "a clock stepped back an hour": Odd(
        "time,power_W\n" + "".join(f"2026-05-04T1{h}:{m:02}:00Z,10\n" for h, m in [(1, 50), (1, 51), (1, 52), (1, 53), (0, 54), (0, 55), (0, 56)]),
        10 * 360,
    ),
    "units that change by row": Odd(
        "time_s,power\n" + "".join(f"{i},{'10.0 W' if i % 2 else '10000 mW'}\n" for i in range(11)), 100, asked=True
    ),
    "a column that changes from W to kW by row": Odd(
        "time_s,power\n" + "".join(f"{i},{'900 W' if i < 6 else '0.9 kW'}\n" for i in range(11)), 9000, asked=True
    ),
    "milliwatts with thousands commas, quoted": Odd(
        "time_s,power_mW\n" + rows('{i},"10,000"'), 100, asked=True
    ),
    "some numbers above a thousand, quoted": Odd(
        "time_s,power_mW\n" + "".join(f'{i},"{"1,500" if i % 2 else 999}"\n' for i in range(11)), 12.495, asked=True
    ),
    "millions with commas": Odd("time_s,power_uW\n" + rows('{i},"10,000,000"'), 100, asked=True),
    "thousands points, German": Odd("Zeit (s);Leistung (mW)\n" + rows("{i};10.000"), 100, asked=True),
    "thousands points and decimal comma": Odd("Zeit (s);Leistung (mW)\n" + rows("{i};10.000,0"), 100),
    "thousands spaces": Odd("Temps (s);Puissance (mW)\n" + rows("{i};10 000,0"), 100, asked=True),
    "no-break thousands spaces": Odd("Temps (s);Puissance (mW)\n" + rows("{i};10\u00a0000,0"), 100, asked=True),
    "narrow no-break thousands spaces": Odd("Temps (s);Puissance (mW)\n" + rows("{i};10\u202f000"), 100, asked=True),
    "thousands apostrophes, Swiss": Odd("Zeit (s);Leistung (mW)\n" + rows("{i};10'000.0"), 100, asked=True),
    "an energy counter that resets": Odd(
        "time_s,energy_Wh\n" + "".join(f"{60 * i},{i % 6}\n" for i in range(12)), 10 * 3600, asked=True
    ),
    "an energy counter that resets, next to its power": Odd(
        "time_s,power_W,energy_Wh\n" + "".join(f"{60 * i},60,{i % 6}\n" for i in range(12)), 60 * 660
    ),
    "a daily counter of kWh": Odd(
        "datetime,Daily Energy (kWh)\n" + "".join(f"2026-05-0{4 + i // 24} {i % 24:02}:30:00,{(i % 24) / 100:.2f}\n" for i in range(48)),
        (23 + 23) * 36000.0, asked=True,
    ),
    "Wh next to power": Odd("time_s,power_W,energy_Wh\n" + rows("{i},10.0,{wh:.9f}"), 100),
    "mWh next to power": Odd("time_s,power_W,energy_mWh\n" + rows("{i},10.0,{mwh:.6f}"), 100),
    "mWh titled as mwh": Odd("time_s,mwh\n" + rows("{i},{mwh:.6f}"), 100, asked=True),
    "MWh in capitals": Odd("TIME_S,ENERGY_MWH\n" + rows("{i},{mwh:.6f}"), None),
    "two runs one after the other with two headers": Odd(_RUN + _RUN, 200),
    "two runs, whose columns stand in another order": Odd(
        _RUN + "power_W,time_s\n" + rows("10.0,{i}"), 200, asked=True
    ),
    "two runs, the second in mW": Odd(_RUN + "time_s,power_mW\n" + rows("{i},10000"), 200, asked=True),
    "a trailing summary row": Odd(_RUN + "Total,110.0\n", 100),
    "a trailing average row": Odd(_RUN + "Average,,10.0\n", 100),
    "a trailing total that looks like a row": Odd("time_s,power_W,energy_J\n" + rows("{i},10.0,{j}.000") + "10,10.0,100.000\n", 100),
    "a sum in the last row without a time": Odd(_RUN + ",110.0\n", 100),
    "comments in between": Odd(_RUN[:30] + "".join(_RUN[30:].replace("5,10.0\n", "5,10.0\n# load switched on\n; note\n// note\n")), 100),
    "merged cells": Odd(
        "Channel 1,,,Channel 2,,\nTime (s),Voltage (V),Current (A),Time (s),Voltage (V),Current (A)\n"
        + rows("{i},5.0,2.0,{i},12.0,1.0"), None
    ),
    "merged cells above one time": Odd(
        ",CPU,,GPU,\nTime (s),Voltage (V),Power (W),Voltage (V),Power (W)\n" + rows("{i},1.0,10.0,1.0,30.0"), None
    ),
    "scientific notation": Odd("time_s,power_W\n" + rows("{i}.0E+00,1.00E+01"), 100),
    "scientific notation with a decimal comma": Odd("time_s;power_W\n" + rows("{i};1,00E+01"), 100),
    "Fortran exponents": Odd("time_s,power_W\n" + rows("{i}.0D+00,1.00D+01"), 100, asked=True),
    "minus nothing": Odd("time_s,power_W\n" + "".join(f"{i},{'-0.0' if i < 6 else '10'}\n" for i in range(11)), 45),
    "percent signs": Odd("time_s,power,load\n" + rows("{i},10%,50%"), None),
    "percent next to power": Odd("time_s,power_W,power_pct\n" + rows("{i},10,50%"), 100),
    "time in hours decimal": Odd("Time (h),Power (W)\n" + rows("{h:.9f},10.0"), 100),
    "time in hours decimal without a unit": Odd("hours,Power (W)\n" + rows("{h:.9f},10.0"), 100, asked=True),
    "time in minutes": Odd("Elapsed (min),Power (W)\n" + rows("{i},10.0"), 6000),
    "twelve hours, AM and PM": Odd("Time,Power (W)\n" + "".join(f"{t} ,10\n" for t in ("11:59:58 AM", "11:59:59 AM", "12:00:00 PM", "12:00:01 PM", "12:00:02 PM")), 40),
    "twelve hours over one o'clock": Odd("Date,Time,Power (W)\n" + "".join(f"5/4/2026,{t},10\n" for t in ("12:59:58 PM", "12:59:59 PM", "1:00:00 PM", "1:00:01 PM")), 30),
    "twelve hours over midnight": Odd("Time,Power (W)\n" + "".join(f"05/14/2026 {t},10\n" for t in ("11:59:58 PM", "11:59:59 PM")) + "05/15/2026 12:00:00 AM,10\n05/15/2026 12:00:01 AM,10\n", 30),
    "twelve hours without AM or PM": Odd("timestamp,power_W\n" + "".join(f"2026-05-04 {t},10\n" for t in ("12:59:58", "12:59:59", "01:00:00", "01:00:01")), 30, asked=True),
    "offsets without a colon": Odd("timestamp,power_W\n" + rows("2026-05-04T10:00:{i:02}.000+0200,10"), 100),
    "offsets of hours alone": Odd("timestamp,power_W\n" + rows("2026-05-04 10:00:{i:02}+02,10"), 100),
    "an offset with Unicode minus": Odd("timestamp,power_W\n" + rows("2026-05-04T10:00:{i:02}\u221205:00,10"), 100, asked=True),
    "offsets that change": Odd("timestamp,power_W\n2026-10-25T02:59:58+02:00,10\n2026-10-25T02:59:59+02:00,10\n2026-10-25T02:00:00+01:00,10\n2026-10-25T02:00:01+01:00,10\n", 30),
    "a spreadsheet's days": Odd("Date,Power (W)\n" + "".join(f"{46146 + i / 86400:.9f},10\n" for i in range(11)), 100, asked=True),
    "a spreadsheet's days, a minute apart": Odd("timestamp;Leistung (W)\n" + "".join(f"{46146 + i / 1440:.6f};10\n".replace(".", ",") for i in range(11)), 6000, asked=True),
    "Unicode minus": Odd("time_s,power_W\n" + rows("{i},\u221210.0"), -100, asked=True),
    "Unicode minus in some rows": Odd("time_s,power_W\n" + "".join(f"{i},{chr(0x2212) if i > 5 else ''}10.0\n" for i in range(11)), 10, asked=True),
    "accountants' brackets": Odd("time_s,power_W\n" + rows("{i},(10.0)"), -100, asked=True),
    "dBm": Odd("time_s,Power (dBm)\n" + rows("{i},10.0"), None),
    "dBm with an underline": Odd("time_s,Power_dBm\n" + rows("{i},10.0"), None),
    "dBm in the cells": Odd("time_s,Power\n" + rows("{i},10.0 dBm"), None),
    "VA and var next to W": Odd("time_s,P (W),S (VA),Q (var),PF\n" + rows("{i},10.0,20.0,17.3,0.5"), 100),
    "VA alone": Odd("time_s,Apparent power (VA),PF\n" + rows("{i},20.0,0.5"), None),
    "VA by a title without a word": Odd("time_s,Power (VA)\n" + rows("{i},20.0"), None),
    "VA in the cells": Odd("time_s,Power\n" + rows("{i},20.0 VA"), None),
    "volts and amps of a plug with a power factor": Odd("time_s,Voltage (V),Current (A),Power factor\n" + rows("{i},230.0,0.1,0.5"), 115, asked=True),
    "volts, amps and a phase angle of mains": Odd("time_s,U (V),I (A),cos phi\n" + rows("{i},230.0,0.1,0.5"), 115, asked=True),
    "horsepower": Odd("time_s,Power (hp)\n" + rows("{i},1.0"), None),
    "BTU per hour": Odd("time_s,Power (BTU/h)\n" + rows("{i},34.12"), None),
    "watts per square metre": Odd("time_s,Power (W/m2)\n" + rows("{i},10.0"), None),
    "power per core": Odd("time_s,Power per core (W)\n" + rows("{i},10.0"), None),
    "watts of three phases": Odd("time_s,L1 (W),L2 (W),L3 (W)\n" + rows("{i},10,10,10"), 300, asked=True),
    "average power and energy since the start": Odd("time_s,avg_power_W\n" + rows("{i},10"), 100),
    "a column of maxima next to the mean": Odd("time_s,Power min (W),Power avg (W),Power max (W)\n" + rows("{i},5,10,20"), 100),
    "milliseconds since the row before": Odd("dt_ms,power_W\n" + rows("1000,10.0"), 100, asked=True),
    "seconds with a unit in each cell": Odd("time,power\n" + rows("{i} s,10 W"), 100, asked=True),
    "milliseconds with a unit in each cell": Odd("time,power\n" + rows("{i}000 ms,10 W"), 100, asked=True),
    "a time of minutes and seconds": Odd("time,power_W\n" + rows("00:{i:02},10.0"), 100, asked=True),
    "ISO durations": Odd("time,power_W\n" + rows("PT{i}S,10.0"), 100, asked=True),
    "ISO weeks and basic format": Odd("time,power_W\n" + rows("20260504T1000{i:02}Z,10.0"), 100),
    "microseconds since the boot, 32 bits that wrap": Odd("micros,power_W\n" + "".join(f"{(4_290_000_000 + i * 1_000_000) % 2**32},10\n" for i in range(11)), 100, asked=True),
    "milliseconds since the boot, titled millis": Odd("millis,power_W\n" + rows("{i}000,10.0"), 100, asked=True),
    "a row number as the first column": Odd(",time_s,power_W\n" + "".join(f"{i},{i / 2},10\n" for i in range(21)), 100),
    "a sample number and a rate": Odd("# sample rate: 10 Hz\nsample,power_W\n" + rows("{i},10.0"), 10, asked=True),
    "an unnamed index alone": Odd(",power_W\n" + rows("{i},10.0"), None),
    "a power limit after the power": Odd("time_s,gpu_power_W,gpu_power_limit_W\n" + rows("{i},10,250"), 100),
    "the power of a battery, charged and discharged": Odd("time_s,battery_power_W,state\n" + rows("{i},-10,discharging"), -100, asked=True),
    "a sentinel for no value": Odd("time_s,power_W\n" + "".join(f"{i},{'-999' if i == 5 else '10'}\n" for i in range(11)), 80, asked=True),
    "a sentinel of 32 bits": Odd("time_s,power_mW\n" + "".join(f"{i},{'4294967295' if i == 5 else '10000'}\n" for i in range(11)), 80, asked=True),
    "OVL from a multimeter": Odd("time_s,current_A,voltage_V\n" + "".join(f"{i},{'OVL' if i == 5 else '2.0'},5.0\n" for i in range(11)), 80),
    "numbers with a plus sign": Odd("time_s,power_W\n" + rows("{i},+10.0"), 100),
    "hexadecimal": Odd("time_s,power_W\n" + rows("{i},0x0A"), None),
    "booleans": Odd("time_s,power_W\n" + rows("{i},True"), None),
    "quoted title with a line break": Odd('time_s,"power\n(W)"\n' + rows("{i},10.0"), 100, asked=True),
    "titles with the unit on the next line": Odd("Time,Power,Voltage\n(s),(mW),(V)\n" + rows("{i},10000,5.0"), 100),
    "titles with a unit in words on the next line": Odd("Time,Power\nseconds,milliwatts\n" + rows("{i},10000"), 100),
    "a transposed table": Odd("time_s," + ",".join(map(str, range(11))) + "\npower_W," + ",".join(["10"] * 11) + "\n", 100, asked=True),
    "one line of JSON a row": Odd(rows('{{"time": {i}, "power_W": 10.0}}'), 100),
    "key=value pairs": Odd(rows("time={i} power=10.0W"), 100),
    "rows newest first": Odd("timestamp,power_W\n" + "".join(f"2026-05-04T10:00:{i:02}Z,{i}\n" for i in range(10, -1, -1)), 50),
    "rows newest first, elapsed": Odd("time_s,power_W\n" + "".join(f"{i},{i}\n" for i in range(10, -1, -1)), 50, asked=True),
    "years of two digits": Odd("date;time;W\n" + rows("04.05.26;10:00:{i:02};10"), 100),
    "months by name, in German": Odd("Datum;Leistung (W)\n" + rows("4. Mai 2026 10:00:{i:02};10"), 100, asked=True),
    "a comma in the date": Odd('Time,Power (W)\n' + rows('"May 4, 2026, 10:00:{i:02} AM",10'), 100, asked=True),
    "power of this and of the whole": Odd("time_s,cpu_power_W,total_power_W\n" + rows("{i},6,10"), 100),
    "power in W and again in mW": Odd("time_s,power_W,power_mW\n" + rows("{i},10,10000"), 100, asked=True),
    "input and output power": Odd("time_s,input_power_W,output_power_W\n" + rows("{i},12,10"), None),
    "solar and load power": Odd("time_s,solar_power_W,load_power_W\n" + rows("{i},12,10"), None),
    "kWh a half-hour, means by the interval": Odd("start,end,consumption (kWh)\n" + "".join(f"2026-05-04T{i // 2:02}:{i % 2 * 30:02}:00Z,2026-05-04T{(i + 1) // 2:02}:{(i + 1) % 2 * 30:02}:00Z,0.5\n" for i in range(10)), 5 * 3.6e6, asked=True),
    "mAh next to volts": Odd("time_s,voltage_V,charge_mAh\n" + "".join(f"{i},5.0,{i * 2 / 3.6:.6f}\n" for i in range(11)), 100, asked=True),
    "a current in mA titled Current_mA_avg": Odd("time_s,voltage_V,Current_mA_avg\n" + rows("{i},5.0,2000"), 100, asked=True),
    "amps in a title of capitals": Odd("TIME (S),VOLTAGE (V),CURRENT (MA)\n" + rows("{i},5.0,2000"), 100, asked=True),
    "milliwatts in a title of capitals": Odd("TIME (S),POWER (MW)\n" + rows("{i},10000"), 100, asked=True),
    "a header that stands again, spelled otherwise": Odd(_RUN + "Time_s,Power_W\n" + rows("{i},10.0"), 200, asked=True),
    "a header that stands again in the middle of a run": Odd("timestamp,power_W\n" + rows("2026-05-04T10:00:{i:02}Z,10", 6) + "timestamp,power_W\n" + "".join(f"2026-05-04T10:00:{i:02}Z,10\n" for i in range(6, 11)), 90, asked=True),
    "a footer of totals under the columns": Odd("time_s,power_W,energy_Wh\n" + rows("{i},10.0,{wh:.6f}") + f"Sum,,{100 / 3600:.6f}\nMin,10.0,\nMax,10.0,\n", 100),
    "totals above the titles": Odd("Total energy (Wh),0.0278\nAverage power (W),10\n\ntime_s,power_W\n" + rows("{i},10.0"), 100),
    "settings above that look like rows": Odd("Channel,1\nRate (Hz),10\nShunt (Ohm),0.1\nTime (s),Power (W)\n" + rows("{i},10.0"), 100),
    "a unit line of unknown units": Odd("Time,Power\ns,dBm\n" + rows("{i},10"), None),
    "a unit line of percent": Odd("Time,Power\ns,%\n" + rows("{i},10"), None),
    "kilowatts in Italian": Odd("Ora;Potenza (kW)\n" + rows("04/05/2026 10:00:{i:02};0,010"), 100),
    "Spanish, decimal comma, tabs": Odd("Fecha\tHora\tPotencia (W)\n" + rows("04/05/2026\t10:00:{i:02}\t10,0"), 100),
    "French, two columns": Odd("Date;Heure;Puissance apparente (VA)\n" + rows("04/05/2026;10:00:{i:02};20"), None),
    "tele-information, VA and Wh": Odd("Date;PAPP (VA);BASE (Wh)\n" + "".join(f"04/05/2026 10:{i:02}:00;20;{1000 + i}\n" for i in range(11)), 36000, asked=True),
    "dates of the United States without evidence": Odd("Date,Power (W)\n" + rows("5/4/2026 10:00:{i:02},10"), 100),
    "dates across a month, month first": Odd("Date,Power (W)\n4/30/2026 23:59:59,10\n5/1/2026 0:00:00,10\n5/1/2026 0:00:01,10\n", 20),
    "dates of every day, day first, in the first twelve days": Odd("Date,Power (W)\n" + "".join(f"0{d}/05/2026 00:00,10\n" for d in range(1, 10)), 10 * 8 * 86400),
    "dates of every day, month first, in the first twelve days": Odd("Date,Power (W)\n" + "".join(f"05/0{d}/2026 00:00,10\n" for d in range(1, 10)), 10 * 8 * 86400),
    "the first of each month": Odd("Date,Energy (kWh)\n" + "".join(f"2026-0{m}-01,{100 * m}\n" for m in range(1, 9)), 700 * 3.6e6, asked=True),
    "kWh a day, by the date alone": Odd("Date,Energy (kWh)\n" + "".join(f"2026-05-{d:02},{'5.0' if d % 2 else '4.0'}\n" for d in range(1, 12)), 45 * 3.6e6, asked=True),
    "kWh an hour that never change": Odd("datetime,Energy (kWh)\n" + "".join(f"2026-05-04 {h:02}:00,0.5\n" for h in range(11)), None),
    "Wh since midnight that begin again": Odd("datetime,energy_today_Wh\n" + "".join(f"2026-05-04 {h:02}:00,{10 * h}\n" for h in range(20, 24)) + "".join(f"2026-05-05 {h:02}:00,{10 * h}\n" for h in range(4)), 60 * 3600, asked=True),
    "energy in joules that reads as power": Odd("time_s,energy_mJ\n" + rows("{i},10000"), None),
    "cumulative power": Odd("time_s,cumulative_power_W\n" + rows("{i},{j}"), None),
    "power density": Odd("time_s,power_density_W\n" + rows("{i},10"), None),
    "reactive power alone": Odd("time_s,reactive power\n" + rows("{i},10"), None),
    "power in var": Odd("time_s,Power_var\n" + rows("{i},10"), None),
    "power in VA, lower case": Odd("time_s,power_va\n" + rows("{i},10"), None),
    "power in kVA": Odd("time_s,Power [kVA]\n" + rows("{i},10"), None),
    "power in megawatts": Odd("time_s,Power (MW)\n" + rows("{i},10"), None),
    "power in GW": Odd("time_s,Power (GW)\n" + rows("{i},10"), None),
    "power in pW": Odd("time_s,Power (pW)\n" + rows("{i},10"), None),
    "a current in pA": Odd("time_s,voltage_V,current_pA\n" + rows("{i},5,10"), None),
    "a current in raw counts": Odd("time_s,voltage_V,current_raw\n" + rows("{i},5,2048"), None),
    "ADC codes": Odd("time_s,voltage_adc,current_adc\n" + rows("{i},3100,2048"), None),
    "shunt millivolts, bus volts and milliamps": Odd("time_s,shunt_mV,bus_V,current_mA,power_mW\n" + rows("{i},20,5.0,2000,10000"), 100),
    "power at odds with volts and amps": Odd("time_s,voltage_V,current_A,power_mW\n" + rows("{i},5.0,2.0,10"), None),
    "a gap in the middle": Odd("time_s,power_W\n" + "".join(f"{i},10\n" for i in [*range(11), *range(100, 111)]), 200),
    "a row cut off in the middle": Odd("time_s,power_W\n" + rows("{i},10.0", 5) + "5,1\n" + "".join(f"{i},10.0\n" for i in range(6, 11)), 91),
    "too many cells in some rows": Odd("time_s,power_W\n" + "".join(f"{i},10.0{',oops' if i == 4 else ''}\n" for i in range(11)), 100),
    "too few cells in some rows": Odd("time_s,voltage_V,power_W\n" + "".join(f"{i},5.0{',10.0' if i != 4 else ''}\n" for i in range(11)), 80),
    "a quote that is never closed": Odd("time_s,power_W,note\n" + rows("{i},10.0,ok", 5) + '5,10.0,"cut\n' + "".join(f"{i},10.0,ok\n" for i in range(6, 11)), 100, asked=True),
    "null bytes at the end": Odd(_RUN + "\0" * 64, 100, asked=True),
    "a UTF-8 mark in the middle": Odd(_RUN + "\ufeff" + "11,10.0\n", 110),
    "spaces around everything": Odd(" time_s , power_W \n" + rows("  {i} ,  10.0  "), 100),
    "spaces of two widths": Odd("time_s   power_W\n" + "".join(f"{i:<6}{10.0:>8}\n" for i in range(11)), 100),
    "tabs and spaces mixed": Odd("time_s\tpower_W\n" + rows("{i}\t 10.0"), 100),
    "each cell with its title": Odd(rows("time=2026-05-04T10:00:{i:02}Z, power=10.0 W"), 100),
    "an R data frame": Odd('"","time_s","power_W"\n' + rows('"{i}",{i},10'), 100),
    "a pandas frame with a date index": Odd(",power_W\n" + rows("2026-05-04 10:00:{i:02}+00:00,10.0"), 100),
    "a pandas frame with two levels of titles": Odd(",power,power\n,gpu0,gpu1\ntime,,\n" + rows("2026-05-04 10:00:{i:02}+00:00,10.0,20.0"), None),
    "Markdown": Odd("| Time (s) | Power (W) |\n|:---|---:|\n" + rows("| {i} | 10.0 |"), 100),
    "an org table": Odd("| Time (s) | Power (W) |\n|----------+-----------|\n" + rows("| {i} | 10.0 |"), 100),
    "LaTeX": Odd("Time (s) & Power (W) \\\\\n\\hline\n" + rows("{i} & 10.0 \\\\"), 100, asked=True),
    "psql output": Odd(" time_s | power_W \n--------+---------\n" + rows(" {i:>6} |    10.0 ") + "(11 rows)\n", 100),
    "an Influx line protocol": Odd(rows("power,host=a watts=10.0 17778888{i:02}000000000"), 100),
    "Influx annotated CSV": Odd("#datatype,string,long,dateTime:RFC3339,double,string\n#group,false,false,false,false,true\n#default,_result,,,,\n,result,table,_time,_value,_field\n" + rows(",,0,2026-05-04T10:00:{i:02}Z,10.0,power_W"), 100, asked=True),
    "Prometheus text": Odd(rows("node_power_watts 10.0 17778888{i:02}000"), 100, asked=True),
    "sensors output": Odd(rows("power1:       10.00 W  (interval =   1.00 s)"), None),
    "perf stat -I -x,": Odd("# started on Mon May  4 10:00:00 2026\n\n" + "".join(f"{i}.000100,10.00,Joules,power/energy-pkg/,1000000000,100.00,,\n" for i in range(1, 12)), 110),
    "perf stat -I": Odd("#           time             counts unit events\n" + "".join(f"     {i}.000100000              10.00 Joules power/energy-pkg/\n" for i in range(1, 12)), 110),
    "rapl-read of two packages": Odd("time_s,package0_W,package1_W\n" + rows("{i},10,20"), 300, asked=True),
    "cpu and gpu": Odd("time_s,cpu_W,gpu_W\n" + rows("{i},10,20"), None),
    "two GPUs in two columns": Odd("time_s,gpu0_power_W,gpu1_power_W\n" + rows("{i},10,20"), 300, asked=True),
    "long form, a quantity by row": Odd("time_s,quantity,value\n" + "".join(f"{i},{q},{v}\n" for i in range(11) for q, v in (("power_W", 10), ("voltage_V", 5))), 100, asked=True),
    "long form, a rail by row": Odd("time_s,rail,power_W\n" + "".join(f"{i},{q},{v}\n" for i in range(11) for q, v in (("VDD_IN", 10), ("VDD_CPU", 5))), 100),
    "the sign of a shunt the wrong way round": Odd("time_s,power_W\n" + rows("{i},-10"), -100, asked=True),
    "discharging is negative": Odd("time_s,voltage_V,current_A\n" + rows("{i},4.0,-2.5"), -100, asked=True),
    "net power of a house": Odd("time_s,grid_power_W\n" + "".join(f"{i},{10 if i < 5 else -10}\n" for i in range(11)), -10, asked=True),
    "milliseconds that look like seconds": Odd("time,power_W\n" + rows("{i}000,10"), None),
    "milliseconds with a jitter": Odd("time,power_W\n" + "".join(f"{1000 * i + i % 3},10\n" for i in range(11)), None),
    "microseconds titled us": Odd("t_us,power_W\n" + rows("{i}000000,10"), 100),
    "ticks of 100 ns": Odd("ticks,power_W\n" + rows("{i}0000000,10"), None),
    "Windows FILETIME": Odd("timestamp,power_W\n" + "".join(f"{133_900_000_000_000_000 + i * 10_000_000},10\n" for i in range(11)), 100, asked=True),
    ".NET ticks": Odd("timestamp,power_W\n" + "".join(f"{639_000_000_000_000_000 + i * 10_000_000},10\n" for i in range(11)), 100, asked=True),
    "Apple's seconds since 2001": Odd("timestamp,power_W\n" + "".join(f"{799_581_600 + i},10\n" for i in range(11)), 100, asked=True),
    "GPS weeks and seconds": Odd("gps_week,gps_seconds,power_W\n" + rows("2417,{i},10"), 100, asked=True),
    "Julian days": Odd("JD,power_W\n" + "".join(f"{2461164.9 + i / 86400:.8f},10\n" for i in range(11)), 100, asked=True),
    "epoch seconds in scientific notation": Odd("timestamp,power_W\n" + "".join(f"1.7778888{i:02}e9,10\n" for i in range(11)), 100, asked=True),
    "epoch seconds rounded by a spreadsheet": Odd("timestamp,power_W\n" + "1.77789E+12,10\n" * 11, None),
    "a time with a trailing unit word": Odd("time,power\n" + rows("{i} sec,10 Watts"), 100, asked=True),
    "a weekday before the time": Odd("Time,Power (W)\n" + rows("Mon 04 May 2026 10:00:{i:02},10"), 100, asked=True),
    "midnight as 24:00": Odd("time;W\n04.05.2026 23:00;10\n04.05.2026 24:00;10\n05.05.2026 01:00;10\n", 72000, asked=True),
    "midnight left out by a spreadsheet": Odd("timestamp;W\n04.05.2026 23:00:00;10\n05.05.2026;10\n05.05.2026 01:00:00;10\n", 72000, asked=True),
    "fractions of different lengths": Odd("timestamp,power_W\n2026-05-04T10:00:00Z,10\n2026-05-04T10:00:00.5Z,10\n2026-05-04T10:00:01.25Z,10\n2026-05-04T10:00:02.000000001Z,10\n", 20),
    "a zone by its name": Odd("timestamp,power_W\n" + rows("2026-05-04 10:00:{i:02} Europe/Berlin,10"), 100, asked=True),
    "a zone in brackets": Odd("timestamp,power_W\n" + rows("2026-05-04T10:00:{i:02}+02:00[Europe/Berlin],10"), 100, asked=True),
    "a column of phases": Odd("time_s,phase,power_W\n" + "".join(f"{i},{p},10\n" for i in range(11) for p in "ABC"), 300, asked=True),
    "a column of lines": Odd("time_s,line,power_W\n" + "".join(f"{i},{p},10\n" for i in range(11) for p in ("L1", "L2", "L3")), 300, asked=True),
    "a column of numbers for devices": Odd("time_s,id,power_W\n" + "".join(f"{i},{p},{10 * p}\n" for i in range(11) for p in (1, 2)), 300, asked=True),
    "a column of addresses": Odd("time_s,ip,power_W\n" + "".join(f"{i},{p},10\n" for i in range(11) for p in ("10.0.0.1", "10.0.0.2")), 200, asked=True),
    "a column of boards": Odd("time_s,board,power_W\n" + "".join(f"{i},{p},10\n" for i in range(11) for p in ("pi4", "pi5")), 200, asked=True),
    "a column of labels, each at its own time": Odd("time_s,label,power_W\n" + "".join(f"{i + k / 4},{p},10\n" for i in range(11) for k, p in enumerate("ab")), 200, asked=True),
    "a column of units": Odd("timestamp,power,unit\n" + rows("2026-05-04T10:00:{i:02}Z,10,mW"), 0.1, asked=True),
    "a column of units that change": Odd("timestamp,power,unit\n" + "".join(f"2026-05-04T10:00:{i:02}Z,{'900,mW' if i % 2 else '0.9,W'}\n" for i in range(11)), 9, asked=True),
    "a column of units of the power": Odd("time_s,power,power_unit\n" + rows("{i},0.01,kW"), 100, asked=True),
    "tenths of a watt, in brackets": Odd("time_s,Power (0.1 W)\n" + rows("{i},100"), 100, asked=True),
    "ten times as much": Odd("time_s,Power x10 (W)\n" + rows("{i},100"), 100, asked=True),
    "deciwatts": Odd("time_s,power_dW\n" + rows("{i},100"), 100, asked=True),
    "decimal commas between commas": Odd("time_s,power_W\n" + rows("{i},10,5"), 105, asked=True),
    "row names without a title": Odd('"time_s","power_W"\n' + rows('"{i}",{i},10'), 100, asked=True),
    "a counter that reads 0 once": Odd("timestamp,energy_kWh\n" + "".join(f"2026-05-04 {h:02}:00,{100 + h if h != 5 else 0}\n" for h in range(11)), 10 * 3.6e6),
    "percent of the thermal design power": Odd("time_s,CPU Power (% TDP)\n" + rows("{i},10"), None),
    "a JSON array, a row a line": Odd("[\n" + rows('{{"time_s": {i}, "power_W": 10}},')[:-2] + "\n]\n", 100),
    "JSON lines with objects in them": Odd(rows('{{"ts": "2026-05-04T10:00:{i:02}Z", "ch": {{"power_mW": 10000}}, "tags": [1, 2]}}'), 100),
    "JSON with two objects of power": Odd(rows('{{"time_s": {i}, "gpu0": {{"power_W": 10}}, "gpu1": {{"power_W": 10}}}}'), 200, asked=True),
    "a JSON document": Odd('{\n "time_s": [0, 1, 2],\n "power_W": [10, 10, 10]\n}\n', 20, asked=True),
    "line protocol of two hosts": Odd("".join(f"power,host={h} watts=10.0 17778888{i:02}000000000\n" for i in range(11) for h in "ab"), 200),
    "line protocol of three phases": Odd("".join(f"power,phase={p} value=10i 17778888{i:02}\n" for i in range(11) for p in "ABC"), 300, asked=True),
    "line protocol of two measurements": Odd("".join(f"power value=10.0 17778888{i:02}\ncpu value=10.0 17778888{i:02}\n" for i in range(11)), 100, asked=True),
    "perf stat of a package and its memory": Odd("".join(f"{i}.000100,10.00,Joules,power/energy-{e}/,1000000000,100.00,,\n" for i in range(1, 12) for e in ("pkg", "ram")), 220, asked=True),
    "perf stat of the platform and a package": Odd("".join(f"{i}.000100;10.00;Joules;power/energy-{e}/;1000000000;100.00;;\n" for i in range(1, 12) for e in ("psys", "pkg")), 110),
    "perf stat with a row that was not counted": Odd("".join(f"{i}.000000,{'<not counted>' if i == 5 else '10.00'},Joules,power/energy-pkg/,1000000000,100.00,,\n" for i in range(1, 12)), 100),
    "key=value with decimal commas": Odd(rows("t={i}; P=10,5 W; U=5,0 V"), 105),
    "key=value behind a stamp and a level": Odd(rows("2026-05-04 10:00:{i:02},250 INFO meter power=10.0 W volts=5.1"), 100),
    "logfmt with a quoted message": Odd(rows('ts=2026-05-04T10:00:{i:02}Z level=info msg="a=b c" power_mw=10000'), 100),
    "settings above the titles, after a line of names": Odd("sep=;\nDevice;Meter 12\nSerial;0012345\nRate;10\nLimit;5\nShunt;0,1\n\nZeit (ms);Leistung [mW]\n" + rows("{j}00;10000,5"), 100.005),
    "rows newest first, with repeated times": Odd("time_s,power_W\n" + "".join(f"{i // 2},10\n" for i in range(21, -1, -1)), 105),
    "a total among devices": Odd("time_s,name,power_W\n" + "".join(f"{i},{n},{p}\n" for i in range(11) for n, p in (("CPU", 4), ("total", 10))), 100),
    "rails in a column of devices": Odd("time_s,device,power_W\n" + "".join(f"{i},{n},{p}\n" for i in range(11) for n, p in (("package-0", 10), ("core", 4))), 100, asked=True),
    "rails of two hosts": Odd("time_s,host,rail,power_W\n" + "".join(f"{i},{h},{n},{p}\n" for i in range(11) for h in "ab" for n, p in (("VDD_IN", 10), ("VDD_CPU", 4))), 200),
    "another table of temperatures below": Odd(_RUN + "\ntime_s,temp_C\n" + rows("{i},50"), 100, asked=True),
    "no unit, and rest in the first rows": Odd("Zeit;Leistung\n" + rows("{i},0;0,0", 500) + "".join(f"{500 + i},0;10000,5\n" for i in range(600)), 5990.2995, asked=True),
    "titles and cells in single quotes": Odd("'time_s','power_W'\n" + rows("'{i}','10.0'"), 100, asked=True),
}  # fmt: skip
