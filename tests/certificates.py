"""A certificate authority and a server's certificate for 127.0.0.1, made by the openssl command."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class Certificates:
    ca: Path
    certificate: Path
    key: Path


def make_certificates(folder: Path, name: str = "127.0.0.1") -> Certificates:
    """Skips the test where there is no openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not here to make a certificate")
    folder.mkdir(parents=True, exist_ok=True)
    made = Certificates(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    kind = "IP" if name[0].isdigit() else "DNS"
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    ca_key = str(folder / "ca.key")
    commands = [
        [
            *new, "-subj", "/CN=Test authority", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
            "-keyout", ca_key, "-out", str(made.ca),
        ],
        [
            *new, "-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}",
            "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "authorityKeyIdentifier=keyid",
            "-CA", str(made.ca), "-CAkey", ca_key, "-keyout", str(made.key), "-out", str(made.certificate),
        ],
    ]  # fmt: skip
    for command in commands:
        subprocess.run([openssl, *command], check=True, capture_output=True)
    made.key.chmod(0o600)
    return made
