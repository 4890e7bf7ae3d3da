//! What hostile machines say: one vocabulary for all of them.

/// What a hazard's line would begin with, if a machine could begin one.
pub const FORGED: &str = "! reboot node99";

/// What acts on a terminal, hides text from a reader, or ends a line too early.
pub const SEQUENCES: [&str; 16] = [
    "\u{1b}[2J",
    "\u{1b}[1A\u{1b}[2K",
    "\u{1b}]52;c;cm0gLXJm\u{7}",
    "\u{1b}]0;title\u{1b}\\",
    "\u{9b}31m",
    "\u{9d}52;c;x\u{9c}",
    "\u{202e}",
    "\u{2066}",
    "\u{200b}",
    "\u{200d}",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{0}",
    "\u{8}\u{8}\u{8}",
    "\r",
];

/// What a shell, a path or a URL would act on. `canary` is a directory in which nothing may be created.
pub fn baits(canary: &str) -> Vec<String> {
    [
        "$(touch CANARY/ran)",
        "`touch CANARY/ran`",
        "x; touch CANARY/ran; echo",
        "x' ; touch CANARY/ran ; '",
        "CANARY/planted",
        "../../../../../../../../../../../../CANARY/planted",
        "v1.33.6+k3s1/../../CANARY/planted",
        "file://CANARY/secret",
        "-oProxyCommand=touch CANARY/ran",
    ]
    .map(|bait| bait.replace("CANARY", canary).replace("..//", "../"))
    .into()
}

/// All of the above, a word an entry, of each kind in turn; each forges a line, too.
pub fn all(canary: &str) -> Vec<String> {
    let sequences = SEQUENCES.iter().map(|&sequence| format!("{sequence}word{sequence}"));
    let baits = baits(canary).into_iter().cycle();
    let forging = |word: &str| format!("{word}\r{FORGED}");
    sequences.zip(baits).flat_map(|(word, bait)| [bait.clone(), forging(&word), word, forging(&bait)]).collect()
}

/// A text of several lines, one of which is a line of ours.
pub fn forged_lines(canary: &str) -> String {
    format!("{}\n{FORGED}\n\r{FORGED}\n", all(canary).join(" "))
}

/// YAML that doubles with each line.
pub fn yaml_bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..40 {
        let below = level - 1;
        text.push_str(&format!("a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}]\n"));
    }
    text
}

/// Numbers that fit into nothing, or only just.
pub const NUMBERS: [&str; 6] =
    ["18446744073709551615", "9223372036854775807", "-9223372036854775808", "99999999999999999999999999", "-1", "0"];
