//! The query of a request. Of a parameter that is given twice the last counts.

use std::collections::BTreeMap;

use super::board::SLOTS;

/// Parameters by name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Query(BTreeMap<String, String>);

impl Query {
    /// What stands behind the question mark.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        Self(pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(k, v)| (plain(k), plain(v))).collect())
    }

    /// A parameter's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The slot that is meant, from 0.
    pub fn node(&self) -> Result<usize, &'static str> {
        let text = self.get("node").ok_or("Missing `node` parameter")?;
        let number: i64 = text.parse().map_err(|_| "Parameter `node` is not a number")?;
        let node = usize::try_from(number).ok().filter(|node| *node < SLOTS);
        node.ok_or("Parameter `node` is out of range 0..3 of node IDs")
    }
}

/// Percent signs and plus signs taken for what they stand for.
fn plain(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = match (first, after) {
            (b'%', [high, low, ..]) => {
                std::str::from_utf8(&[*high, *low]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())
            }
            _ => None,
        };
        bytes.push(code.unwrap_or(if *first == b'+' { b' ' } else { *first }));
        rest = after.get(if code.is_some() { 2 } else { 0 }..).unwrap_or_default();
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_counts_and_signs_are_decoded() {
        let query = Query::parse("opt=set&node=1&node=2&file=%2Fmnt%2fa+b%&local");
        assert_eq!(query.node(), Ok(2));
        assert_eq!(query.get("file"), Some("/mnt/a b%"));
        assert_eq!(query.get("local"), Some(""));
        assert_eq!(query.get("sha256"), None);
        assert_eq!(Query::parse("node=-1").node(), Err("Parameter `node` is out of range 0..3 of node IDs"));
    }
}
