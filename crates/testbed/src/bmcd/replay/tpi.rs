//! The recordings of the real `tpi`, replayed with the real `tpi` against the stand-in.
//!
//! Needs root (a network and a mount namespace of its own, for port 443 and `/mnt`) and `tpi` in the testbed's cache:
//! `cargo test -p bringup-testbed -- --ignored tpi`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::base::tpi;
use crate::run::Run;

const RECORDING: &str = include_str!("../../../tests/contract/tpi-cli.jsonl");

/// Sums that were recorded, of the image that was flashed.
const SUM: &str = "81c9c6c139dee300b0f5bdcbbbf84553eef46d92984d135f516ce64cc5a1f78f";

/// Starts the stand-in, then runs one command after another. Before those without a module the eMMCs are taken away, and
/// the image was a smaller one. The recorded board had no serial console and no SD card.
const SCRIPT: &str = r#"
ip link set lo up
mount -t tmpfs none /mnt
mkdir -p /mnt/board/slot1 /mnt/board/slot2 /mnt/board/slot3 /mnt/board/slot4
touch /mnt/board/no-uart
for n in 1 2 3 4; do truncate -s 64M /mnt/board/slot$n/emmc.img; done
cp "$2/img.raw" /mnt/img.raw
xz -k -0 /mnt/img.raw
"$1" bmcd --board /mnt/board --listen 127.0.0.1:443 & daemon=$!
tries=0
until curl -sk -o /dev/null https://127.0.0.1/; do
    tries=$((tries + 1)); [ $tries -lt 200 ] || exit 9
    sleep 0.05
done
number=0
while IFS= read -r command; do
    number=$((number + 1))
    if [ "$number" = "$4" ]; then
        rm /mnt/board/slot*/emmc.img
        truncate -s 1M /mnt/img.raw
        curl -sk 'https://127.0.0.1/api/bmc?opt=set&type=power&node1=0&node2=0&node3=0&node4=0' -o /dev/null
    fi
    code=0
    (eval "PATH=$3:\$PATH; $command") > "$2/$number.out" 2> "$2/$number.err" < /dev/null || code=$?
    echo $code > "$2/$number.code"
done < "$2/commands"
kill $daemon
"#;

#[test]
#[ignore = "needs root and the real tpi"]
fn every_command_is_as_recorded() {
    let lines: Vec<Value> = RECORDING.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let work = tempfile::tempdir().unwrap();
    let image: Vec<u8> = (0..8 << 20).map(|n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let sum = super::stage::sum(&image);
    fs::write(work.path().join("img.raw"), image).unwrap();
    let words = |line: &Value| {
        let words: Vec<&str> = line["argv"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        words.join(" ").replace(SUM, &sum)
    };
    let commands: String = lines.iter().map(|line| words(line) + "\n").collect();
    fs::write(work.path().join("commands"), commands).unwrap();
    let first_without = lines.iter().position(|line| line["note"] == "no module found on USB").unwrap() + 1;
    let tpi = tpi::provide().unwrap();
    Run::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-s", "--"])
        .arg(std::env::var_os("TESTBED").unwrap_or_else(|| binary().into()))
        .arg(work.path())
        .arg(tpi.parent().unwrap())
        .arg(first_without.to_string())
        .env("RUST_BACKTRACE", "0")
        .input(SCRIPT)
        .bound(Duration::from_secs(300))
        .output()
        .unwrap();
    let mut compared = 0;
    for (number, line) in lines.iter().enumerate() {
        compare(work.path(), number + 1, line, &sum);
        compared += 1;
    }
    assert_eq!(compared, 31);
}

/// The program beside the test's own.
fn binary() -> std::path::PathBuf {
    let me = std::env::current_exe().unwrap();
    me.ancestors().nth(2).unwrap().join("testbed")
}

fn compare(work: &Path, number: usize, line: &Value, sum: &str) {
    let said = |what: &str| fs::read_to_string(work.join(format!("{number}.{what}"))).unwrap();
    assert_eq!(said("code").trim(), line["exit"].to_string(), "{line}");
    for (name, what) in [("stdout", "out"), ("stderr", "err")] {
        let recorded = line[name].as_str().unwrap().replace(SUM, sum);
        assert_eq!(masked(&said(what)), masked(&recorded), "{line}");
    }
}

/// Without what tells of the machine, and without the place in tpi's source that a panic names.
fn masked(text: &str) -> String {
    let facts = ["buildroot", "buildtime", "version", "ip", "mac"];
    if text.starts_with("{\"response\"") && text.contains("buildroot") {
        let mut said: Value = serde_json::from_str(text).unwrap();
        for fact in facts {
            said["response"][0]["result"][0][fact] = Value::Null;
        }
        return said.to_string();
    }
    let line = |line: &str| {
        let line = line.trim_end();
        if let Some(fact) = facts.iter().find(|fact| line.trim_start().starts_with(*fact)) {
            return (*fact).to_owned();
        }
        if line.starts_with("|-") {
            return "|-".to_owned();
        }
        // How wide a table is depends on what is in it.
        if line.contains(" : ") { line.split_whitespace().collect::<Vec<_>>().join(" ") } else { line.to_owned() }
    };
    let panics = text.contains("panicked at");
    let lines = text.lines().filter(|line| !(panics && (line.is_empty() || line.starts_with("note: run with"))));
    let joined = lines.map(line).collect::<Vec<_>>().join("\n");
    match joined.split_once("panicked") {
        Some((_, rest)) => format!("panicked: {}", rest.rsplit("API error").next().unwrap_or_default()),
        None => joined,
    }
}
