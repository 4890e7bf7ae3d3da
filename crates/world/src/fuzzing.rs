//! The parsers of what machines say, each under one name; what `bringup_core::fuzzing` says of its own holds for them.
//! There in tests and under `cargo fuzz` alone.

use crate::bmc;
use crate::cluster;
use crate::controller::known_nodes;
use crate::image;
use crate::shell;
use crate::ssh::ClientConfig;

/// Reads some bytes, and says whether they were understood.
pub type Parser = fn(&[u8]) -> bool;

/// All of this crate. Each has a target of its name in `fuzz/fuzz_targets` and a corpus in `fuzz/corpus`.
pub const PARSERS: [(&str, Parser); 12] = [
    ("bmc_record", bmc::fuzzing::record),
    ("bmcd_reply", bmc::fuzzing::bmcd_reply),
    ("certificate", cluster::fuzzing::certificate),
    ("helm_release", cluster::fuzzing::helm_release),
    ("image", disk_image),
    ("kube_objects", cluster::fuzzing::kube_objects),
    ("manifest", cluster::fuzzing::manifest),
    ("node_answer", shell::fuzzing::node_answer),
    ("run_journal", known_nodes::is_understood),
    ("script_output", shell::fuzzing::script_output),
    ("ssh_config", ssh_config),
    ("tpi_reply", bmc::fuzzing::tpi_reply),
];

/// A head of one line, and the rest.
pub(crate) fn head_and_rest(bytes: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(bytes);
    let (head, rest) = text.split_once('\n').unwrap_or((&text, ""));
    (head.to_owned(), rest.to_owned())
}

fn disk_image(bytes: &[u8]) -> bool {
    image::examine(bytes, bytes.len() as u64, bytes).is_ok()
}

fn ssh_config(bytes: &[u8]) -> bool {
    let config = ClientConfig::of_text(&String::from_utf8_lossy(bytes));
    let found = config.of("node01.lan", "ansible");
    found.host_name.is_some() || found.port.is_some() || !found.identity_files.is_empty()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn directory(name: &str) -> Vec<String> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(name);
        let names = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn corpora_are_read_or_refused() {
        let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for (name, parser) in PARSERS {
            let seeds = fs::read_dir(corpora.join(name)).unwrap().map(|entry| fs::read(entry.unwrap().path()).unwrap());
            let understood = seeds.filter(|seed| parser(seed)).count();
            assert!(understood > 0, "{name}: no seed is understood any more, so fuzzing begins with nothing");
        }
    }

    /// A target without a parser, or the other way round, would fuzz nothing.
    #[test]
    fn every_target_has_its_corpus() {
        let targets: Vec<String> =
            directory("fuzz_targets").iter().filter_map(|name| name.strip_suffix(".rs")).map(str::to_owned).collect();
        assert_eq!(directory("corpus"), targets);
        for (name, _) in PARSERS {
            assert!(targets.iter().any(|target| target == name), "{name} has no target");
        }
    }
}
