use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use super::*;
use crate::image::{examine, samples};

/// A BMC made of directories: a module's disk is a file, and what is mounted from it a directory beside it.
struct Board {
    directory: tempfile::TempDir,
}

/// `mount` puts a directory in the place of a device; `umount` takes it away again, unless it is told to fail.
const FAKES: &str = r#"
mount() {
    case $2$3 in ext4*/sdb2|vfat*/sdb1) ;; *) echo "mount: $3 is no $2" >&2; return 32;; esac
    [ ! -e "$HERE/no-mount-$2" ] || { echo "mount: wrong fs type, $2" >&2; return 32; }
    rmdir "$4" && ln -s "$HERE/$2" "$4" && echo "mount $2" >> "$HERE/log"
}
umount() { rm "$1" && mkdir "$1" && echo "umount ${1##*/}" >> "$HERE/log"; }
mountpoint() { [ -L "$2" ]; }
sleep() { echo sleep >> "$HERE/log"; }
blockdev() { echo "blockdev $1" >> "$HERE/log"; touch "$HERE/dev/sdb1" "$HERE/dev/sdb2"; }
"#;

impl Board {
    /// The image as it is on the module; other disks sit before it.
    fn new(image: &[u8]) -> Self {
        let board = Self { directory: tempfile::tempdir().unwrap() };
        for path in ["dev", "vfat", "ext4/var/lib/cloud/instances/old", "ext4/etc/ssh", "sys"] {
            fs::create_dir_all(board.at(path)).unwrap();
        }
        fs::create_dir(board.at("state")).unwrap();
        board.disk("sda", "SanDisk ", "1-9");
        board.disk("sdb", "Rockchip", "1-1.2");
        fs::write(board.at("dev/sdb"), image).unwrap();
        fs::write(board.at("dev/sdb1"), "").unwrap();
        fs::write(board.at("dev/sdb2"), "").unwrap();
        fs::write(board.at("ext4/etc/ssh/ssh_host_rsa_key"), "of the image").unwrap();
        board
    }

    fn disk(&self, name: &str, vendor: &str, port: &str) {
        let device = format!("usb1/1-1/{port}/{port}:1.0/host0/target0:0:0/0:0:0:0");
        fs::create_dir_all(self.at(&device)).unwrap();
        fs::create_dir_all(self.at(&format!("sys/{name}"))).unwrap();
        symlink(self.at(&device), self.at(&format!("sys/{name}/device"))).unwrap();
        fs::write(self.at(&format!("sys/{name}/device/vendor")), format!("{vendor}\n")).unwrap();
    }

    fn at(&self, path: &str) -> std::path::PathBuf {
        self.directory.path().join(path)
    }

    fn log(&self) -> String {
        fs::read_to_string(self.at("log")).unwrap_or_default()
    }

    /// Runs the script with each shell that there is.
    fn run(&self, shell: &[&str], texts: (&str, &str)) -> Output {
        let image = samples::image(true);
        let known = examine(image.as_slice(), image.len() as u64, &image).unwrap();
        let witnesses: Vec<_> = known
            .witnesses
            .iter()
            .map(|witness| (witness.offset, witness.length, witness.sha256, witness.what.as_str()))
            .collect();
        let files = [
            SeedFile { on: On::Root, path: "etc/ssh/ssh_host_ed25519_key", text: texts.0, mode: 0o600 },
            SeedFile { on: On::Root, path: "etc/cloud/cloud.cfg.d/zz-bringup.cfg", text: "{}\n", mode: 0o644 },
            SeedFile { on: On::Seed, path: "user-data", text: texts.1, mode: 0o644 },
        ];
        let (disks, devices, state) = (self.at("sys"), self.at("dev"), self.at("state"));
        let piece = seed(&SeedScript {
            slot: 2,
            vendor: "Rockchip",
            witnesses: &witnesses,
            seed: known.seed,
            root: known.root,
            files: &files,
            places: Places {
                disks: disks.to_str().unwrap(),
                devices: devices.to_str().unwrap(),
                state: state.to_str().unwrap(),
                is: "-e",
            },
        });
        let text = format!("{FAKES}\n(\n{piece}\n)\nexit $?\n");
        let script = self.at("script");
        fs::write(&script, text).unwrap();
        Command::new(shell[0]).args(&shell[1..]).arg(&script).env("HERE", self.directory.path()).output().unwrap()
    }
}

/// The shells that are here: a BMC has busybox's, if one can be had.
fn shells() -> Vec<Vec<&'static str>> {
    let mut shells = vec![vec!["sh"], vec!["bash"]];
    if Path::new("/bin/busybox").exists() || Path::new("/usr/bin/busybox").exists() {
        shells.push(vec!["busybox", "sh"]);
    }
    shells
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_module_is_proved_and_given_its_identity() {
    let key = "-----BEGIN\n$(touch /tmp/never) `x` 'it''s' \\n %s\n";
    for shell in shells() {
        let board = Board::new(&samples::image(true));
        let output = board.run(&shell, (key, "#cloud-config\n{\"a\": \"b'c\"}\n"));
        assert_eq!(output.status.code(), Some(0), "{shell:?}: {}", said(&output));
        let path = board.at("ext4/etc/ssh/ssh_host_ed25519_key");
        assert_eq!(fs::read_to_string(&path).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(board.at("vfat/user-data")).unwrap(), "#cloud-config\n{\"a\": \"b'c\"}\n");
        assert!(!board.at("ext4/var/lib/cloud").exists() && !board.at("ext4/etc/ssh/ssh_host_rsa_key").exists());
        assert_eq!(board.log(), "mount ext4\nmount vfat\numount seed\numount root\n");
        let vfat: Vec<_> = fs::read_dir(board.at("vfat")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(vfat, ["user-data"], "nothing else lies where everyone can read");
    }
}

#[test]
fn everything_is_unmounted_when_a_step_fails() {
    for shell in shells() {
        let board = Board::new(&samples::image(true));
        fs::write(board.at("no-mount-vfat"), "").unwrap();
        let output = board.run(&shell, ("", ""));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("wrong fs type"));
        assert_eq!(board.log(), "mount ext4\numount root\n");
        // A directory that is in the way of a file.
        let board = Board::new(&samples::image(true));
        fs::create_dir_all(board.at("vfat/user-data/x")).unwrap();
        assert_eq!(board.run(&shell, ("", "")).status.code(), Some(1));
        assert_eq!(board.log(), "mount ext4\nmount vfat\numount seed\numount root\n");
    }
}

#[test]
fn what_is_not_the_image_is_not_touched() {
    for shell in shells() {
        for (at, what) in
            [(600, "partition table"), (samples::PARTITIONS[0] + 70, "vfat"), (samples::PARTITIONS[1] + 1130, "ext4")]
        {
            let mut image = samples::image(true);
            image[at] ^= 1;
            let board = Board::new(&image);
            let output = board.run(&shell, ("", ""));
            assert_eq!(output.status.code(), Some(OTHER_BYTES));
            assert!(said(&output).contains(what), "{}", said(&output));
            assert_eq!(board.log(), "");
        }
    }
}

#[test]
fn a_module_has_its_time_and_is_never_guessed() {
    for shell in shells() {
        let board = Board::new(&samples::image(true));
        fs::remove_dir_all(board.at("sys/sdb")).unwrap();
        let output = board.run(&shell, ("", ""));
        assert_eq!(output.status.code(), Some(NO_DISK), "{}", said(&output));
        assert_eq!(board.log().matches("sleep").count(), 59);
        let board = Board::new(&samples::image(true));
        board.disk("sdc", "Rockchip USB", "1-1.3");
        let output = board.run(&shell, ("", ""));
        assert_eq!(output.status.code(), Some(NO_DISK));
        assert!(said(&output).contains("sdb sdc"), "{}", said(&output));
        // Its partitions come late.
        let board = Board::new(&samples::image(true));
        fs::remove_file(board.at("dev/sdb1")).unwrap();
        assert_eq!(board.run(&shell, ("", "")).status.code(), Some(0));
        assert!(board.log().contains("blockdev --rereadpt"), "{shell:?}: {}", board.log());
    }
}

#[test]
fn a_module_at_another_slots_port_gets_no_identity() {
    for shell in shells() {
        // What is recorded, whether it goes on, and what is recorded then.
        for (records, status, after) in [
            (&[][..], 0, "1.2\n"),
            (&[("port-2", "1.2\n"), ("port-1", "1.1\n")], 0, "1.2\n"),
            // What a power cut left.
            (&[("port-2", "")], 0, "1.2\n"),
            (&[("port-2", "1.3\n")], OTHER_PORT, "1.3\n"),
            (&[("port-4", "1.2\n")], OTHER_PORT, ""),
        ] {
            let board = Board::new(&samples::image(true));
            let record = |name: &str| board.at(&format!("state/{name}"));
            records.iter().for_each(|(name, text)| fs::write(record(name), text).unwrap());
            let output = board.run(&shell, ("", ""));
            assert_eq!(output.status.code(), Some(status), "{shell:?} {records:?}: {}", said(&output));
            assert_eq!(fs::read_to_string(record("port-2")).unwrap_or_default(), after, "{records:?}");
            assert_eq!(board.log().is_empty(), status == OTHER_PORT, "{records:?}: {}", board.log());
        }
        // Without a hub all slots share a port.
        let board = Board::new(&samples::image(true));
        fs::remove_dir_all(board.at("sys/sdb")).unwrap();
        board.disk("sdb", "Rockchip", "1-1");
        fs::write(board.at("state/port-1"), "1\n").unwrap();
        assert_eq!(board.run(&shell, ("", "")).status.code(), Some(0));
        assert_eq!(fs::read_to_string(board.at("state/port-2")).unwrap(), "1\n");
    }
}
