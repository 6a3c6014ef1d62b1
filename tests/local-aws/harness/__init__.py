"""The local AWS as a Python library: start it, install a stack, push an image, look at the release.

Runs in the `.local/tools` virtual environment, which `setup` creates.
"""

from harness.environment import Environment
from harness.images import push_event, push_image, push_index
from harness.install import build, install
from harness.lightsail import Lightsail
from harness.local_aws import LocalAws, ThreadedAws, emulator
from harness.planetscale import PlanetScale

__all__ = [
    *("Environment", "Lightsail", "LocalAws", "PlanetScale", "ThreadedAws"),
    *("build", "emulator", "install", "push_event", "push_image", "push_index"),
]
