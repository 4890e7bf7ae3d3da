use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bringup_core::ids::Sha256;

use super::*;

/// The shells that are here: a BMC has busybox's, if one can be had.
fn shells() -> Vec<Vec<&'static str>> {
    let mut shells = vec![vec!["sh"], vec!["bash"]];
    if ["/bin/busybox", "/usr/bin/busybox"].iter().any(|path| Path::new(path).exists()) {
        shells.push(vec!["busybox", "sh"]);
    }
    shells
}

struct Bmc {
    directory: tempfile::TempDir,
    shell: Vec<&'static str>,
}

/// A BMC in a directory, for each shell.
fn bmcs() -> Vec<Bmc> {
    shells().into_iter().map(|shell| Bmc { directory: tempfile::tempdir().unwrap(), shell }).collect()
}

impl Bmc {
    fn at(&self, path: &str) -> PathBuf {
        self.directory.path().join(path)
    }

    fn text(&self, path: &str) -> String {
        self.at(path).to_str().unwrap().to_owned()
    }

    /// Where the BMC's own files are, here.
    fn here(&self, piece: &str) -> String {
        piece.replace(STATE, &self.text("state")).replace("/run/bringup.lock", &self.text("lock"))
    }

    fn feed(&self, piece: &str, input: &[u8]) -> Output {
        let mut child = Command::new(self.shell[0])
            .args(&self.shell[1..])
            .arg("-c")
            .arg(self.here(piece))
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // It may have ended without reading.
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn run(&self, piece: &str) -> (i32, String) {
        let output = self.feed(piece, b"");
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.is_empty(), "{:?}: {err}", self.shell);
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    }
}

#[test]
fn modules_that_wait_on_usb_are_found() {
    for bmc in bmcs() {
        let piece = WAITING_MODULES.replace("/sys/bus/usb", &bmc.text("usb"));
        assert_eq!(bmc.run(&piece), (0, String::new()), "no USB at all");
        for (port, vendor, product) in
            [("usb1", "1d6b", "0002"), ("1-1", "0bda", "5411"), ("1-1.2", "2207", "350b"), ("1-1.4", "0a5c", "2711")]
        {
            let device = bmc.at("usb/devices").join(port);
            fs::create_dir_all(&device).unwrap();
            fs::write(device.join("idVendor"), format!("{vendor}\n")).unwrap();
            fs::write(device.join("idProduct"), format!("{product}\n")).unwrap();
        }
        // An interface of a device has no ids.
        fs::create_dir_all(bmc.at("usb/devices/1-1:1.0")).unwrap();
        assert_eq!(bmc.run(&piece), (0, "2207:350b at 1-1.2\n0a5c:2711 at 1-1.4\n".to_owned()));
    }
}

#[test]
fn what_is_kept_comes_back_whole() {
    for bmc in bmcs() {
        assert_eq!(bmc.run(&read_state("mark-1")), (NONE, String::new()));
        for text in ["{\"a\":\"it's $HOME `x` \\\\n\"}", "later"] {
            assert_eq!(bmc.run(&write_state("mark-1", text)), (0, String::new()));
            assert_eq!(bmc.run(&read_state("mark-1")), (0, format!("{text}\n")));
        }
        let (status, boot) = bmc.run(&read_transfer());
        assert_eq!((status, boot.trim().len()), (0, 36));
        bmc.run(&write_state("transfer", "{}"));
        assert_eq!(bmc.run(&read_transfer()).1, format!("{boot}{{}}\n"));
        let names: Vec<_> = fs::read_dir(bmc.at("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }
}

#[test]
fn a_module_that_is_a_disk_is_told_by_our_note_and_by_the_disk() {
    for bmc in bmcs() {
        let is = |slot| {
            let piece = is_disk(slot).replace("/sys/block", &bmc.text("sys"));
            bmc.feed(&piece, b"").status.code().unwrap()
        };
        assert_eq!(is(2), NONE);
        assert_eq!(bmc.run(&note_disk(2)), (0, String::new()));
        assert_eq!(is(2), NONE, "no disk is there");
        fs::create_dir_all(bmc.at("sys/sdb/device")).unwrap();
        fs::write(bmc.at("sys/sdb/device/vendor"), "RPi-MSD- \n").unwrap();
        assert_eq!((is(2), is(3)), (0, NONE));
        fs::write(bmc.at("state/disk"), "2\n00000000-of-another-boot\n").unwrap();
        assert_eq!(is(2), NONE);
        bmc.run(&note_disk(2));
        bmc.run(NO_DISK_NOTED.replace("/root/.bringup", &bmc.text("state")).as_str());
        assert_eq!(is(2), NONE);
    }
}

#[test]
fn an_image_is_read_once_and_again_when_it_changed_or_is_doubted() {
    for bmc in bmcs() {
        let path = bmc.text("an image.img");
        assert_eq!(bmc.run(&image_file(&path, None, false)), (NONE, String::new()));
        fs::write(&path, "bytes").unwrap();
        let sum = Sha256::of(b"bytes");
        let (status, text) = bmc.run(&image_file(&path, None, false));
        let file = super::super::file(&text).unwrap();
        assert_eq!((status, file.sha256, file.size), (0, sum, 5));
        assert!(file.modified > 1_700_000_000);
        let (like, other) = (format!("5 {}", file.modified), Sha256::of("other"));
        let sum_of = |known, doubted| {
            let (_, text) = bmc.run(&image_file(&path, known, doubted));
            Sha256::parse(text.split_whitespace().next().unwrap()).unwrap()
        };
        assert_eq!(sum_of(Some((like.as_str(), other)), false), other);
        assert_eq!(sum_of(Some(("4 1", other)), false), sum);
        fs::write(bmc.at(".an image.img.sum"), format!("{other} {like}\n")).unwrap();
        assert_eq!(sum_of(None, false), other);
        assert_eq!(sum_of(None, true), sum);
        fs::write(bmc.at(".an image.img.sum"), "cut").unwrap();
        assert_eq!(sum_of(None, false), sum);
    }
}

#[test]
fn a_directory_without_a_card_is_none() {
    for bmc in bmcs() {
        assert_eq!(bmc.run(&sd_card("/nowhere/images")), (NONE, String::new()));
        // What is mounted above a path is what it is on.
        let (status, free) = bmc.run(&sd_card("/proc/nowhere/images"));
        assert_eq!((status, free.trim()), (0, "0"));
    }
}

#[test]
fn a_file_arrives_in_parts_and_is_summed_as_a_whole() {
    let bytes: Vec<u8> = (0..200_000u32).flat_map(u32::to_le_bytes).collect();
    let sum = Sha256::of(&bytes);
    for bmc in bmcs() {
        let to = bmc.text("images/it's.img");
        assert_eq!(bmc.run(&arrived(&to, sum)), (0, "0\n".to_owned()));
        let half = bmc.feed(&receive(&to, sum, true), &bytes[..300_000]);
        assert!(String::from_utf8_lossy(&half.stdout).starts_with(&Sha256::of(&bytes[..300_000]).to_string()));
        assert_eq!(bmc.run(&arrived(&to, sum)), (0, "300000\n".to_owned()));
        let rest = bmc.feed(&receive(&to, sum, false), &bytes[300_000..]);
        assert!(String::from_utf8_lossy(&rest.stdout).starts_with(&sum.to_string()), "{rest:?}");
        assert!(rest.stderr.is_empty() && !Path::new(&to).exists());
        assert_eq!(bmc.run(&place(&to, sum)), (0, String::new()));
        assert_eq!(fs::read(&to).unwrap(), bytes);
        assert_eq!(bmc.run(&arrived(&to, sum)), (0, "there\n".to_owned()));
        assert_eq!(bmc.run(&image_file(&to, None, false)).1.lines().next(), Some(sum.to_string().as_str()));
        assert_eq!(bmc.run(&size_of(&to)), (0, "800000\n".to_owned()));
        bmc.run(&discard(&to, sum));
        let left = fs::read_dir(bmc.at("images")).unwrap().count();
        assert_eq!(left, 2, "the image and its sum");
    }
}

#[test]
fn a_full_card_is_said() {
    for bmc in bmcs() {
        fs::create_dir_all(bmc.at("images")).unwrap();
        let sum = Sha256::of("x");
        let part = bmc.at(&format!("images/x.{}.part", sum.short()));
        std::os::unix::fs::symlink("/dev/full", &part).unwrap();
        let output = bmc.feed(&receive(&bmc.text("images/x"), sum, true), &[7; 100_000]);
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(err.contains("No space left on device") && err.ends_with("failed\n"), "{:?}: {err}", bmc.shell);
    }
}

#[test]
fn a_board_is_held_by_one_who_is_told_to_the_other() {
    for bmc in bmcs() {
        let start = |token: &str, who: &str| {
            let mut child = Command::new(bmc.shell[0])
                .args(&bmc.shell[1..])
                .arg("-c")
                .arg(bmc.here(&lock(token, who)))
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            (child, line)
        };
        let (mut first, said) = start("one", "ada@desk (process 7) since noon");
        assert_eq!(said, "bringup held\n");
        let (mut second, said) = start("two", "bob");
        assert_eq!(said, "bringup busy ada@desk (process 7) since noon\n");
        second.wait().unwrap();
        // The same run again, after its connection was lost: the one that was left behind goes.
        let (mut third, said) = start("one", "ada@desk (process 7) since noon");
        assert_eq!(said, "bringup held\n", "{:?}", bmc.shell);
        first.wait().unwrap();
        // Its input ends, and with it the hold.
        drop(third.stdin.take());
        assert!(third.wait().unwrap().success());
        let (mut fourth, said) = start("two", "bob");
        assert_eq!(said, "bringup held\n");
        fourth.stdin.as_mut().unwrap().write_all(b"\n\n").unwrap();
        assert!(fs::read_to_string(bmc.at("lock")).unwrap().ends_with(" bob\n"));
        drop(fourth.stdin.take());
        fourth.wait().unwrap();
    }
}

#[test]
fn tpi_runs_by_itself_and_leaves_what_it_said() {
    for bmc in bmcs() {
        let path = std::env::var("PATH").unwrap();
        let tools = bmc.at("bin");
        fs::create_dir_all(&tools).unwrap();
        let tpi = tools.join("tpi");
        let text = format!(
            "#!/bin/sh\necho \"argv $*\"; until [ -e {} ]; do sleep 0.05; done\n\
             echo 'Error occured: \"USB\"' >&2; exit 0\n",
            bmc.text("go")
        );
        fs::write(&tpi, text).unwrap();
        fs::set_permissions(&tpi, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let with_path = |piece: &str| format!("PATH={}:{path}; export PATH\n{piece}", tools.display());
        let state = || {
            let output = bmc.feed(&tpi_flash_state(), b"");
            let out = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<String> = out.lines().map(str::to_owned).collect();
            (lines, String::from_utf8(output.stderr).unwrap())
        };
        assert_eq!(bmc.run(&tpi_flash_state()), (NONE, String::new()));
        assert_eq!(bmc.run(&with_path(&start_tpi_flash(2, "/mnt/sd card/x.img"))), (0, String::new()));
        assert_eq!(state().0[1], "running", "{:?}", bmc.shell);
        fs::write(bmc.at("go"), "").unwrap();
        let began = std::time::Instant::now();
        while state().0[1] == "running" {
            assert!(began.elapsed().as_secs() < 20);
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let (out, err) = state();
        assert_eq!(out[1..], ["0", "argv flash -l -n 2 -i /mnt/sd card/x.img"]);
        assert_eq!(err, "Error occured: \"USB\"\n");
        // One that was ended from outside leaves no status.
        fs::remove_file(bmc.at("state/tpi/status")).unwrap();
        let mut ended = Command::new("true").spawn().unwrap();
        ended.wait().unwrap();
        fs::write(bmc.at("state/tpi/pid"), format!("{}\n", ended.id())).unwrap();
        assert_eq!(state().0[1], "gone");
    }
}
