//! Ranges and ports in host names: `node[01:04]`, `rack[a:c]-[1:9:2]`, `node01:2222`.

use std::net::Ipv6Addr;

/// Takes a port off the end of a pattern; an IPv6 address keeps its colons unless it stands in brackets.
pub(crate) fn without_port(pattern: &str) -> (&str, Option<u16>) {
    let Some((head, port)) = pattern.rsplit_once(':') else { return (pattern, None) };
    let Ok(port) = port.parse() else { return (pattern, None) };
    if let Some(address) = head.strip_prefix('[').and_then(|head| head.strip_suffix(']'))
        && address.parse::<Ipv6Addr>().is_ok()
    {
        return (address, Some(port));
    }
    let mut depth = 0_usize;
    for character in head.chars() {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => return (pattern, None),
            _ => {}
        }
    }
    if depth == 0 { (head, Some(port)) } else { (pattern, None) }
}

/// All names that a pattern stands for; what is wrong with it otherwise.
pub(crate) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut names = vec![String::new()];
    let (mut rest, mut built) = (pattern, 0_usize);
    while let Some(open) = rest.find('[') {
        let Some(length) = rest[open..].find(']') else { return Err("the range is not closed by `]`".to_owned()) };
        let (head, range) = (&rest[..open], &rest[open + 1..open + length]);
        let middles = steps(range)?;
        // Several ranges multiply.
        if names.len().saturating_mul(middles.len()) > MOST {
            return Err(format!("the range has more than {MOST} hosts"));
        }
        // Each range copies what those before it made.
        let of = |names: &[String]| names.iter().map(String::len).sum::<usize>();
        let made = names.len() * middles.len();
        built += of(&names) * middles.len() + of(&middles) * names.len() + head.len().saturating_mul(made);
        within(built)?;
        names =
            names.iter().flat_map(|name| middles.iter().map(move |middle| format!("{name}{head}{middle}"))).collect();
        rest = &rest[open + length + 1..];
    }
    within(built.saturating_add(rest.len().saturating_mul(names.len())))?;
    names.iter_mut().for_each(|name| name.push_str(rest));
    Ok(names)
}

/// The bytes that a pattern may expand to, with what is made on the way: names of hosts have some twenty.
const MOST_BYTES: usize = 64 << 20;

fn within(built: usize) -> Result<(), String> {
    if built > MOST_BYTES {
        return Err(format!("the names of the range are longer than {} MiB in all", MOST_BYTES >> 20));
    }
    Ok(())
}

/// A pattern of more hosts than this is a mistake.
const MOST: usize = 100_000;

fn steps(range: &str) -> Result<Vec<String>, String> {
    let parts: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match parts.as_slice() {
        [begin, end] => (*begin, *end, "1"),
        [begin, end, step] => (*begin, *end, *step),
        _ => return Err("a range is `[begin:end]` or `[begin:end:step]`".to_owned()),
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err("a range needs an end".to_owned());
    }
    let step: usize = step.parse().ok().filter(|step| *step > 0).ok_or("the step of a range is a number above 0")?;
    let letter = |text: &str| text.chars().next().filter(|first| text.len() == 1 && first.is_ascii_alphabetic());
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first > last {
            return Err("the range ends before it begins".to_owned());
        }
        return Ok((first..=last).step_by(step).map(String::from).collect());
    }
    let width = if begin.len() > 1 && begin.starts_with('0') { begin.len() } else { 0 };
    if width > 0 && end.len() != width {
        return Err("both ends of a range with leading zeros are equally long".to_owned());
    }
    let number = |text: &str| text.parse::<usize>().map_err(|_| format!("`{text}` is neither a number nor a letter"));
    let (first, last) = (number(begin)?, number(end)?);
    if first > last {
        return Err("the range ends before it begins".to_owned());
    }
    if (last - first) / step >= MOST {
        return Err(format!("the range has more than {MOST} hosts"));
    }
    Ok((first..=last).step_by(step).map(|number| format!("{number:0width$}")).collect())
}

#[cfg(test)]
mod tests {
    use super::{expand, without_port};

    #[test]
    fn ports_are_told_from_ranges_and_addresses() {
        for (pattern, expected) in [
            ("node01", ("node01", None)),
            ("node01:2222", ("node01", Some(2222))),
            ("node[01:03]:22", ("node[01:03]", Some(22))),
            ("node[01:03]", ("node[01:03]", None)),
            ("node[1:10:2]", ("node[1:10:2]", None)),
            ("fd00::1", ("fd00::1", None)),
            ("[fd00::1]:22", ("fd00::1", Some(22))),
            ("node01:ssh", ("node01:ssh", None)),
            ("node01:70000", ("node01:70000", None)),
        ] {
            assert_eq!(without_port(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn ranges_are_ansibles() {
        for (pattern, names) in [
            ("node01", vec!["node01"]),
            ("node[01:03]", vec!["node01", "node02", "node03"]),
            ("n[8:10]", vec!["n8", "n9", "n10"]),
            ("rack[a:b]-[1:5:2]", vec!["racka-1", "racka-3", "racka-5", "rackb-1", "rackb-3", "rackb-5"]),
            ("n[:2]", vec!["n0", "n1", "n2"]),
        ] {
            assert_eq!(expand(pattern).unwrap(), names, "{pattern}");
        }
        for pattern in ["n[3:1]", "n[1:", "n[1:2:0]", "n[a:3]", "n[01:100]", "n[1]", "n[1:100001]", "n[1:1000][1:1000]"]
        {
            assert!(expand(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_long_names_are_refused_before_they_are_made() {
        for pattern in [
            format!("n[0:99999]{}", "x".repeat(5_000)),
            format!("{}[0:99999]", "x".repeat(5_000)),
            format!("n[0:99999]{}", "[1:1]".repeat(1_000)),
        ] {
            assert_eq!(expand(&pattern).unwrap_err(), "the names of the range are longer than 64 MiB in all");
        }
        assert_eq!(expand("node[00000:99999].rack[1:1].example.org").unwrap().len(), 100_000);
    }

    #[test]
    fn many_ranges_are_refused_before_they_are_expanded() {
        let error = expand(&"[a:z]".repeat(10_000)).unwrap_err();
        assert_eq!(error, "the range has more than 100000 hosts");
        assert_eq!(expand(&format!("n{}", "[1:1]".repeat(1_000))).unwrap(), [format!("n{}", "1".repeat(1_000))]);
    }
}
