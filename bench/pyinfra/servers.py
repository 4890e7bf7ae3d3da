"""What `bringup apply --tags servers` does, as pyinfra does it."""

from pyinfra import host
from pyinfra.facts.files import File
from pyinfra.operations import apt, server

server.shell(name="Wait for cloud-init and configure what is unpacked",
             commands=["cloud-init status --wait >/dev/null", "dpkg --configure -a"], _sudo=True)
apt.update(name="Refresh apt's lists", cache_time=86400, _sudo=True)
apt.dist_upgrade(name="Upgrade", auto_remove=True, _sudo=True)
if host.get_fact(File, path="/run/reboot-required"):
    server.reboot(name="Reboot", _sudo=True)
apt.packages(name="Install packages", packages=["unattended-upgrades", "open-iscsi", "original-awk"], _sudo=True)
