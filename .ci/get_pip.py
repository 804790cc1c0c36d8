"""Bring pip into this virtual environment, where Python came without ensurepip (as on Debian)."""

import hashlib
import json
import runpy
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

try:
    with urllib.request.urlopen("https://pypi.org/pypi/pip/json", timeout=60) as answer:
        files = json.load(answer)["urls"]
    wheel = next(file for file in files if file["packagetype"] == "bdist_wheel")
    # A mirror's addresses may be relative to its index.
    with urllib.request.urlopen(urljoin("https://pypi.org/simple/pip/", wheel["url"]), timeout=60) as answer:
        content = answer.read()
except OSError as error:
    sys.exit(
        f"pip could not be fetched from PyPI: {error}\n  To mend it: sudo apt-get install python3-venv, then make again"
    )
if hashlib.sha256(content).hexdigest() != wheel["digests"]["sha256"]:
    sys.exit("the downloaded pip does not match its checksum: run make again")
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, wheel["filename"])
    path.write_bytes(content)
    sys.path.insert(0, str(path))
    sys.argv = ["pip", "install", "--quiet", "--no-index", str(path)]
    runpy.run_module("pip", run_name="__main__")
