"""A USB meter that does not open: the rule that lets the user in names the vendor and nothing else."""

import errno

from energymeter.drivers.links.usb import _open_error
from energymeter.errors import SourceForbidden


def test_the_rule_names_the_vendor() -> None:
    error = _open_error(None, ((0x05FC, 0x0063), (0x1234, 0x5678)), PermissionError(errno.EACCES, "denied"))
    assert isinstance(error, SourceForbidden)
    assert 'ATTR{idVendor}=="05fc", TAG+="uaccess"' in str(error)
