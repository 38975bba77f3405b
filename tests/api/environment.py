"""A virtual environment for a check that stands on Python packages."""

import shutil
import subprocess
import venv


def install(folder, wanted):
    """Makes the environment, once for each state of the requirements in the file `wanted`, and gives the folder of its programs."""
    installed = folder / "requirements.txt"
    if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
        print(f"installing what {wanted.parent.name}/{wanted.name} names (once)", flush=True)
        venv.create(folder, clear=True, with_pip=True)
        pip = [folder / "bin/python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--requirement", wanted], check=True)
        shutil.copyfile(wanted, installed)
    return folder / "bin"
