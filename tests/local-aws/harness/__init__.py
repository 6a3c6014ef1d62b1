"""The local AWS as a Python library: start it, install a stack, push an image, look at the release.

Runs in the `.local/tools` virtual environment, which `setup` creates.
"""

from harness.environment import Environment
from harness.images import push_image, push_index
from harness.install import build, install
from harness.lightsail import Lightsail
from harness.local_aws import LocalAws, emulator
from harness.planetscale import PlanetScale

__all__ = [
    *("Environment", "Lightsail", "LocalAws", "PlanetScale"),
    *("build", "emulator", "install", "push_image", "push_index"),
]
