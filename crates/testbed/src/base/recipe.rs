//! What a base system is made of. Its name in the cache is a hash of all this.

use sha2::{Digest, Sha256};

use super::debs;

/// What comes from the machine's own Debian mirror. `python3-apt` is what Ansible's modules want, for the bench.
pub const PACKAGES: &str = "systemd,systemd-sysv,dbus,udev,openssh-server,sudo,iproute2,iputils-ping,netbase,\
cloud-init,python3-minimal,python3-apt,util-linux,e2fsprogs,fdisk,parted,fish,libfaketime,kmod,less,curl";

/// Done inside, once all packages are there.
pub const SETUP: &str = include_str!("../../guest/setup.sh");

/// cloud-init's own settings.
pub const CLOUD: &str = include_str!("../../guest/cloud.cfg");

/// Raise this when something changes that the hash does not see.
const EDITION: u32 = 1;

/// The name of the base system of this Debian release.
pub fn name(suite: &str) -> String {
    let mut hash = Sha256::new();
    for part in [suite, PACKAGES, SETUP, CLOUD, &EDITION.to_string(), &debs::text()] {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    let hex = hex::encode(&hash.finalize()[..8]);
    format!("{suite}-{hex}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_release_is_another_base() {
        assert_eq!(name("bookworm"), name("bookworm"));
        assert_ne!(name("bookworm"), name("trixie"));
    }
}
