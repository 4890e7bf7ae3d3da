//! Stand-ins for packages: small, without network, and with the behaviour that matters.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::failure::{Failure, Tried};
use crate::run::Run;

/// Where a package is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// Installed in the base system.
    Base,
    /// In the repository `/apt`, which every host knows.
    Repository,
    /// In the repository `/nvidia`, laid out as NVIDIA's is.
    Nvidia,
    /// In no repository: put on a host by `break`.
    Apart,
}

/// A package.
#[derive(Debug)]
pub struct Deb {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it depends on.
    pub depends: &'static str,
    /// A program of its own: path and text.
    pub program: Option<(&'static str, &'static str)>,
    /// What is done once it is installed.
    pub postinst: Option<&'static str>,
    /// Where it is.
    pub place: Place,
}

const fn deb(name: &'static str, version: &'static str, place: Place) -> Deb {
    Deb { name, version, depends: "", program: None, postinst: None, place }
}

/// As Ubuntu's kernels do; on a host that is told to be slow, it takes its time as they do.
const REBOOT_REQUIRED: &str = "#!/bin/sh\nset -e\nif [ \"$1\" = configure ]; then\n\
[ ! -e /var/lib/testbed/slow ] || sleep 3\n\
touch /run/reboot-required\necho bringup-sample >> /run/reboot-required.pkgs\nfi\n";

/// All of them.
pub const DEBS: [Deb; 11] = [
    deb("bringup-unneeded", "1.0", Place::Base),
    Deb { depends: "bringup-unneeded", ..deb("bringup-sample", "1.0", Place::Base) },
    Deb { postinst: Some(REBOOT_REQUIRED), ..deb("bringup-sample", "2.0", Place::Repository) },
    Deb {
        program: Some(("usr/bin/ubuntu-rockchip-install", include_str!("../../guest/ubuntu-rockchip-install.sh"))),
        ..deb("ubuntu-rockchip-settings", "1.0", Place::Base)
    },
    Deb {
        program: Some(("usr/bin/ubuntu-drivers", include_str!("../../guest/ubuntu-drivers.sh"))),
        ..deb("ubuntu-drivers-common", "1.0", Place::Repository)
    },
    deb("nvidia-driver-550-server", "550.163.01-0ubuntu1", Place::Repository),
    deb("open-iscsi", "2.1.8", Place::Repository),
    deb("unattended-upgrades", "2.9.1", Place::Repository),
    deb("original-awk", "1:20220912", Place::Repository),
    Deb {
        program: Some(("usr/bin/nvidia-container-runtime", "#!/bin/sh\nexec runc \"$@\"\n")),
        ..deb("nvidia-container-toolkit", "1.17.8-1", Place::Nvidia)
    },
    Deb { postinst: Some("#!/bin/sh\ntrue\n"), ..deb("bringup-half", "1.0", Place::Apart) },
];

/// Everything that they are made of, as text.
pub fn text() -> String {
    format!("{DEBS:?}")
}

/// Makes a package file in a directory, and returns its name.
pub fn build(deb: &Deb, directory: &Path) -> Result<String, Failure> {
    let tried = || format!("put together the package {} {}", deb.name, deb.version);
    let tree = tempfile::tempdir().tried(tried)?;
    let put = |path: &str, text: &str, mode: u32| {
        let path = tree.path().join(path);
        fs::create_dir_all(path.parent().unwrap_or(tree.path()))?;
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))
    };
    let depends = if deb.depends.is_empty() { String::new() } else { format!("Depends: {}\n", deb.depends) };
    let control = format!(
        "Package: {}\nVersion: {}\nArchitecture: all\nMaintainer: testbed <testbed@localhost>\n{depends}\
         Description: a stand-in for tests\n",
        deb.name, deb.version
    );
    put("DEBIAN/control", &control, 0o644).tried(tried)?;
    // A package without any file is legal, and dpkg takes it for removed in some of its listings.
    put(&format!("usr/share/doc/{}/stand-in", deb.name), "This stands in for a package in tests.\n", 0o644)
        .tried(tried)?;
    if let Some(postinst) = deb.postinst {
        put("DEBIAN/postinst", postinst, 0o755).tried(tried)?;
    }
    if let Some((path, text)) = deb.program {
        put(path, text, 0o755).tried(tried)?;
    }
    // A temporary directory lets nobody but its owner in, and the package's root would say the same.
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).tried(tried)?;
    let name = format!("{}_{}_all.deb", deb.name, deb.version.replace(':', "%3a"));
    Run::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .arg(tree.path())
        .arg(directory.join(&name))
        .output()?;
    Ok(name)
}
