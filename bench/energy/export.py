"""Turns the measured series of pvanalytics into CSV: UTC times (RFC 3339) and watts.

The times of system_50 say -07:00 but are the wall clock of Golden, Colorado: 96 rows every day, and on the days of the change of
the clocks sunrise jumps by an hour. Here they are read as that wall clock, so the sun is where it belongs. The hour that does not
exist in spring (at night) is left out; of the hour that occurs twice in autumn (at night) the file has one, read as the first.

usage: export.py OUT_DIR
"""
import csv
import datetime
import importlib.util
import pathlib
import sys
import zoneinfo

import pyarrow.parquet

NAME = "system_50_ac_power_2_full_DST"
ZONE = zoneinfo.ZoneInfo("America/Denver")
UTC = datetime.timezone.utc


def rows(path, time, value):
    table = pyarrow.parquet.read_table(path, columns=[time, value])
    return zip(table.column(time).to_pylist(), table.column(value).to_pylist())


def text(value):
    return "" if value is None or value != value else f"{value:.3f}"


def write(path, lines):
    with open(path, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["time", "watts"])
        out.writerows(lines)


def main(out):
    data = pathlib.Path(importlib.util.find_spec("pvanalytics").submodule_search_locations[0]) / "data"
    out.mkdir(parents=True, exist_ok=True)
    measured = []
    for when, value in rows(data / f"{NAME}.parquet", "measured_on", "ac_power_2"):
        wall = when.replace(tzinfo=None)
        utc = wall.replace(tzinfo=ZONE).astimezone(UTC)
        if utc.astimezone(ZONE).replace(tzinfo=None) != wall:
            continue
        measured.append((utc.strftime("%Y-%m-%dT%H:%M:%SZ"), text(value)))
    write(out / "system_50.csv", measured)
    satellite = []
    for when, value in rows(data / f"{NAME}_psm3.parquet", "index", "ghi"):
        satellite.append((when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), text(value)))
    write(out / "system_50_satellite.csv", satellite)
    # Another roof in Golden; its times carry their offset.
    with open(data / "serf_east_15min_ac_power.csv", newline="") as file:
        serf = [(datetime.datetime.fromisoformat(row["measured_on"]), row["ac_power"]) for row in csv.DictReader(file)]
    write(out / "serf_east.csv", [(when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), watts) for when, watts in serf])


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
