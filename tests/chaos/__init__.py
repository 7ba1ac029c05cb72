"""The fault matrix: kills, full disks, unplugged devices and clock changes, in real processes."""
