"""A certificate of the test's own."""

import hashlib
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


def pinned(folder: Path) -> tuple[str, str, str]:
    """The pin, the file of the certificate, and that of its key."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-days", "1", "-subj", "/CN=agent", "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(Path(certificate).read_text())).hexdigest()
    return pin, certificate, key
