"""Where this user's files of ours are: configuration, data, cache."""

import os
import sys

_XDG = {
    "config": ("XDG_CONFIG_HOME", ".config"),
    "data": ("XDG_DATA_HOME", ".local/share"),
    "cache": ("XDG_CACHE_HOME", ".cache"),
}


def user_folder(kind: str) -> str:
    """The folder for our files of a kind: ``config``, ``data`` or ``cache``. It may not exist yet.

    On Linux by the XDG base directory specification, in two lines, because entering a meter must not
    cost the 10 ms that platformdirs takes to load; elsewhere platformdirs knows.
    """
    if sys.platform == "linux":
        variable, usual = _XDG[kind]
        base = os.environ.get(variable, "")
        return os.path.join(base if os.path.isabs(base) else os.path.join(_home(), usual), "energymeter")
    import platformdirs

    return str(getattr(platformdirs, f"user_{kind}_dir")("energymeter"))


def _home() -> str:
    """The user's home; one in which nothing is and can be, for a user who has none.

    Never a relative one: what lies in the folder in which somebody works does not configure us.
    """
    home = os.environ.get("HOME", "")
    if os.path.isabs(home):
        return home
    import pwd

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container that runs as any number
        home = ""
    return home if os.path.isabs(home) else "/dev/null"


def cards_folder() -> str:
    """Where calibration cards are kept; no `Path`, which the first block would wait 3 ms for."""
    return os.path.join(user_folder("config"), "calibration")
