"""What moves bytes: buses, ports, sockets, files and commands."""
