# shellcheck shell=sh
# Configuration files that the operator changed stay; new defaults come where nobody changed anything.
# unattended-upgrades at a first boot holds dpkg's lock for minutes.
apt() {
  apt-get -q -y -o DPkg::Lock::Timeout=1800 -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@"
}
