//! Tables, a recording of the real `ssh-keygen`, and properties.

use proptest::prelude::*;

use super::*;

// Throw-away keys, made for these tests alone; their private halves are gone.
const A: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILJkczVFHGU76y9zqhPwxFOAcQLgmlGUdL0V3mV2yixr";
const B: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINJaAS62l0wBbGFFwe6dZEQcUFn4tiKheURMcLfBHW1K";
const C: &str = concat!(
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBKern9Cx5pJf4FsbtK",
    "i128xBTMwia1OKj660YwAUpFMTYF33t9pOBP7dLj9LjX3FWphN9005rRlIyz/adkuF7Sc="
);

fn key(text: &str) -> HostKey {
    HostKey::parse(text).unwrap()
}

fn keys(known: &KnownHosts, name: &str) -> Vec<String> {
    known.keys_for(name).iter().map(HostKey::to_string).collect()
}

/// Fills in the keys of a text that names them `A`, `B`, `C`.
fn file(text: &str) -> String {
    text.replace("<A>", A).replace("<B>", B).replace("<C>", C)
}

/// What `ssh-keygen -H` (OpenSSH 9.2) was given …
const PLAIN: &str = concat!(
    "# test hosts\n",
    "node01.lan,10.0.0.1 <A>\n",
    "node02.lan <B> comment kept\n",
    "\n",
    "Node01.LAN <C>\n",
    "[node01.lan]:2222 <B>\n",
    "10.0.0.3 <C>\n",
);

/// … and what it made of it.
const HASHED: &str = concat!(
    "# test hosts\n",
    "|1|qaOVn5aF3d0uIe/Wzr3DzExN4tY=|3a1VRL8c//kMq4sn2rGpQO7+gGI= <A>\n",
    "|1|vSHjqVnI82RhMh6e0a0Z23dR3n0=|4ZUaDDKDqRq5SFXH8M6rSTof2ZQ= <A>\n",
    "|1|7vGGUSMpq9RVAzeceV6sLEpnXp0=|+fSZR4yK7XhKnpX6l2aUT3LkHTY= <B> comment kept\n",
    "\n",
    "|1|Alw5gZ/0bqa1sbBBekWZyexmOKI=|kBFFfhdWRVg3iB83kd3ddc71nJs= <C>\n",
    "|1|PEEKw/DPy8F+vxQvB5ZhLX+JVl8=|yXVDPsjDhFkCfvu5vAQcXCT/L+c= <B>\n",
    "|1|q1qm0BFAISpm7Z3mfmPR7fLyVNM=|K2WmrdtgZz2s/ldAQcRYahymfIE= <C>\n",
);

#[test]
fn finds_what_ssh_keygen_finds() {
    // Names and the keys that `ssh-keygen -F NAME` printed, for the plain file and the hashed one alike.
    let found: [(&str, &[&str]); 6] = [
        ("node01.lan", &[A, C]),
        ("[node01.lan]:2222", &[B]),
        ("10.0.0.1", &[A]),
        ("10.0.0.3", &[C]),
        ("node02.lan", &[B]),
        ("10.0.0.9", &[]),
    ];
    for text in [file(PLAIN), file(HASHED)] {
        let known = KnownHosts::parse(&text);
        for (name, expected) in found {
            assert_eq!(keys(&known, name), expected, "{name}");
        }
        assert_eq!(known.render(), text);
    }
}

#[test]
fn removes_what_ssh_keygen_removes_from_a_hashed_file() {
    let text = file(HASHED);
    let mut known = KnownHosts::parse(&text);
    assert!(known.remove("node01.lan"));
    // `ssh-keygen -R node01.lan`: "found: line 2", "found: line 6".
    let expected: String =
        text.split_inclusive('\n').enumerate().filter(|(at, _)| ![1, 5].contains(at)).map(|(_, line)| line).collect();
    assert_eq!(known.render(), expected);
    assert!(!known.remove("node01.lan"));
    assert_eq!(keys(&known, "node01.lan"), [""; 0]);
    assert_eq!(keys(&known, "10.0.0.1"), [A]);
}

#[test]
fn fingerprints_are_those_of_ssh_keygen() {
    assert_eq!(key(A).fingerprint(), "SHA256:CWmOm9vIPE4QocIYl7kmmC7jQke/yiS7rMjvlL4GLgQ");
    assert_eq!(key(B).fingerprint(), "SHA256:YUNemVZfvw4Bj8FtEn5jYISMCjVgCAjdZXmu7GCZsY4");
    assert_eq!(key(C).fingerprint(), "SHA256:gxQJOht1LvBOYagRc5ADtkHzA1KkvjciZVAlKXit0WA");
}

#[test]
fn keys_are_read_and_written() {
    assert_eq!(key(&format!("  {A} root@node01\r\n")).to_string(), A);
    assert_eq!(serde_json::to_value(key(A)).unwrap(), A);
    let lies = A.replace("ssh-ed25519 ", "ssh-rsa ");
    for bad in ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 ???", "2048 65537 12345", &lies] {
        assert_eq!(HostKey::parse(bad), None, "{bad:?}");
    }
    let made = HostKey::ed25519(&[7; 32]);
    assert_eq!(HostKey::parse(&made.to_string()), Some(made));
}

#[test]
fn hosts_are_named_as_openssh_names_them() {
    for (host, port, expected) in [
        ("node01.lan", 22, "node01.lan"),
        ("Node01.LAN", 22, "node01.lan"),
        ("node01.lan", 2222, "[node01.lan]:2222"),
        ("10.0.0.3", 2222, "[10.0.0.3]:2222"),
        ("fe80::1", 22, "fe80::1"),
        ("[fe80::1]", 22, "fe80::1"),
        ("[fe80::1]", 2222, "[fe80::1]:2222"),
    ] {
        assert_eq!(host_pattern(host, port), expected);
    }
}

#[test]
fn removal() {
    // Text before, the name removed, text after.
    for (before, name, after) in [
        ("x <A>\n", "x", ""),
        ("x <A>\n", "y", "x <A>\n"),
        ("x <A>", "x", ""),
        ("x <A>\ny <B>", "y", "x <A>\n"),
        ("x <A>\nx <B>\ny <A>\n", "x", "y <A>\n"),
        ("x,x <A>\n", "x", ""),
        ("X <A>\n", "x", ""),
        ("x <A>\n", "X", ""),
        // Others in the line stay, and so does all else that stands in it.
        ("x,y <A> note\n", "x", "y <A> note\n"),
        ("y,x,Z <A>\r\n", "x", "y,Z <A>\r\n"),
        (" \tx,y \t <A>  note \r\n", "y", " \tx \t <A>  note \r\n"),
        ("x,*.lan <A>\n", "x", "*.lan <A>\n"),
        // A name is exactly that name.
        ("[x]:2222 <A>\nxx <A>\n", "x", "[x]:2222 <A>\nxx <A>\n"),
        ("[x]:2222 <A>\nx <A>\n", "[x]:2222", "x <A>\n"),
        // Not ours.
        ("@revoked x <A>\n@cert-authority x <A>\n", "x", "@revoked x <A>\n@cert-authority x <A>\n"),
        ("x*,?x <A>\n!y,x <A>\n", "x", "x*,?x <A>\n!y,x <A>\n"),
        ("*.lan <A>\n", "*.lan", "*.lan <A>\n"),
        ("# x <A>\n\n#x <A>\nx\nx ssh-ed25519 what\n", "x", "# x <A>\n\n#x <A>\nx\nx ssh-ed25519 what\n"),
        ("|1|AAAA|AAAA <A>\n|1| <A>\n", "x", "|1|AAAA|AAAA <A>\n|1| <A>\n"),
    ] {
        let mut known = KnownHosts::parse(&file(before));
        assert_eq!(known.remove(name), before != after, "{before:?} - {name}");
        assert_eq!(known.render(), file(after), "{before:?} - {name}");
        assert_eq!(known.keys_for(name), [], "{before:?} - {name}");
    }
}

#[test]
fn one_key_of_several_is_removed() {
    let mut known = KnownHosts::parse(&file("x,y <A>\nx <B>\n"));
    assert!(!known.remove_key("x", &key(C)));
    assert!(known.remove_key("X", &key(A)));
    assert_eq!(known.render(), file("y <A>\nx <B>\n"));
    assert_eq!((keys(&known, "x"), keys(&known, "y")), (vec![B.to_owned()], vec![A.to_owned()]));
}

#[test]
fn addition() {
    // Text before, the name that gets key A, text after.
    for (before, name, after) in [
        ("", "x", "x <A>\n"),
        ("y <B>\n", "x", "y <B>\nx <A>\n"),
        ("y <B>", "x", "y <B>\nx <A>\n"),
        ("# a\r\ny <B>", "x", "# a\r\ny <B>\r\nx <A>\r\n"),
        ("# a\r\ny <B>\r", "x", "# a\r\ny <B>\r\nx <A>\r\n"),
        ("x <B>\n", "x", "x <B>\nx <A>\n"),
        ("y <A>\n", "x", "y <A>\nx <A>\n"),
        ("\n", "X", "\nx <A>\n"),
        // It is there already.
        ("y,x <A> note", "x", "y,x <A> note"),
        // Not in a way that is ours.
        ("@cert-authority x <A>\n", "x", "@cert-authority x <A>\nx <A>\n"),
        ("* <A>\n", "x", "* <A>\nx <A>\n"),
        // What would not be one plain name.
        ("", "*.lan", ""),
        ("", "x,y", ""),
        ("", "x y", ""),
        ("", "", ""),
        ("", "x\ny", ""),
        ("", "|1|x", ""),
    ] {
        let mut known = KnownHosts::parse(&file(before));
        assert_eq!(known.add(name, &key(A)), before != after, "{before:?} + {name}");
        assert_eq!(known.render(), file(after), "{before:?} + {name}");
        assert!(!known.add(name, &key(A)), "{before:?} + {name}, twice");
        assert_eq!(known.keys_for(name), KnownHosts::parse(&known.render()).keys_for(name));
    }
}

#[test]
fn a_hashed_entry_counts_as_there() {
    let mut known = KnownHosts::parse(&file(HASHED));
    assert!(!known.add("10.0.0.3", &key(C)));
    assert_eq!(known.render(), file(HASHED));
}

#[test]
fn the_last_line_may_be_gone_when_one_is_added() {
    let mut known = KnownHosts::parse(&file("y <B>\nx <B>"));
    assert!(known.remove("x") && known.add("x", &key(A)));
    assert_eq!(known.render(), file("y <B>\nx <A>\n"));
}

#[test]
fn the_version_is_that_of_the_text() {
    let mut known = KnownHosts::parse(&file(PLAIN));
    let first = known.version().to_owned();
    assert_eq!(first, crate::ids::Sha256::of(file(PLAIN)).to_string());
    assert!(!known.remove("nobody"));
    assert_eq!(known.version(), first);
    known.add("nobody", &key(A));
    assert_ne!(known.version(), first);
    assert_eq!(known.version(), KnownHosts::parse(&known.render()).version());
    known.remove("nobody");
    assert_eq!(known.version(), first);
}

/// Enough of them to feel a quadratic step: this took minutes if each edit went through the whole file.
#[test]
fn ten_thousand_names() {
    let name = |at: u32| format!("node{at}.lan");
    let old: String = (0..10_000).map(|at| format!("{},10.0.{}.{} {A}\n", name(at), at / 250, at % 250)).collect();
    let mut known = KnownHosts::parse(&old);
    let new = key(B);
    for at in 0..10_000 {
        assert_eq!(known.keys_for(&name(at)).len(), 1);
        assert!(known.remove(&name(at)) && known.add(&name(at), &new));
    }
    let text = known.render();
    assert_eq!(text.lines().count(), 20_000);
    assert!(text.starts_with("10.0.0.0 ssh-ed25519 ") && text.ends_with(&format!("node9999.lan {B}\n")));
}

/// A line of any kind, ended or not, about a few names so that they meet.
fn any_line() -> impl Strategy<Value = String> {
    let names = prop::collection::vec(
        prop::sample::select(vec!["a", "b", "B", "c.lan", "[a]:2222", "10.0.0.1", "*.lan", "!a", "b?", ""]),
        1..4,
    );
    let entry = (
        prop::sample::select(vec!["", " ", "\t", "@revoked ", "@cert-authority ", "#"]),
        names,
        prop::sample::select(vec![A, B, "ssh-ed25519 broken", "", "1024 65537 99"]),
        prop::sample::select(vec!["", " note", "  two words ", "\r"]),
    )
        .prop_map(|(before, names, key, after)| format!("{before}{} {key}{after}", names.join(",")));
    let hashed = prop::sample::select(file(HASHED).lines().map(str::to_owned).collect::<Vec<_>>());
    prop_oneof![4 => entry, 1 => hashed, 1 => "[^\n]{0,20}"]
}

proptest! {
    #[test]
    fn lines_about_other_names_stay(
        lines in prop::collection::vec(any_line(), 0..12),
        ended in any::<bool>(),
        edits in prop::collection::vec((prop::sample::select(vec!["a", "b", "[a]:2222", "node01.lan"]), any::<bool>()), 0..6),
    ) {
        let mut text = lines.join("\n");
        if ended && !text.is_empty() {
            text.push('\n');
        }
        let mut known = KnownHosts::parse(&text);
        prop_assert_eq!(known.render(), &text[..]);
        let names: Vec<&str> = edits.iter().map(|(name, _)| *name).collect();
        for (name, add) in &edits {
            if *add {
                known.add(name, &key(A));
                prop_assert!(known.keys_for(name).contains(&key(A)));
            } else {
                known.remove(name);
                prop_assert!(known.keys_for(name).is_empty());
            }
        }
        // Told by the words of a line alone, not by the code under test.
        let foreign = |line: &&str| {
            let list = line.trim_start().split([' ', '\t']).next().unwrap_or_default();
            !list.starts_with('|') && !list.split(',').any(|listed| names.contains(&&*listed.to_lowercase()))
        };
        let after = known.render();
        let mut lines_after = after.split('\n');
        for line in text.split('\n').filter(|line| !line.is_empty()).filter(foreign) {
            prop_assert!(lines_after.any(|kept| kept.strip_prefix(line).is_some_and(|ending| ["", "\r"].contains(&ending))), "{line:?}");
        }
        // The index says what reading the text anew says.
        let again = KnownHosts::parse(&after);
        for name in ["a", "b", "c.lan", "[a]:2222", "10.0.0.1", "node01.lan", "10.0.0.3"] {
            prop_assert_eq!(known.keys_for(name), again.keys_for(name));
        }
        prop_assert_eq!(known.version(), again.version());
    }
}
