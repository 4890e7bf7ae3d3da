//! Scalars as Ansible's parser reads them: YAML 1.1.

use saphyr_parser::{ScalarStyle, Tag};

use super::RawValue;

/// The value of a scalar.
pub(super) fn value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> RawValue {
    if let Some(tag) = tag {
        match (tag.handle.as_str(), tag.suffix.as_str()) {
            ("!", "vault" | "vault-encrypted") => return RawValue::Vault(text.to_owned()),
            ("!", "unsafe") => return RawValue::Unsafe(text.to_owned()),
            ("tag:yaml.org,2002:", "str") => return RawValue::Text(text.to_owned()),
            _ => {}
        }
    }
    if style == ScalarStyle::Plain { plain(text) } else { RawValue::Text(text.to_owned()) }
}

/// A plain scalar as YAML 1.1 has it.
fn plain(text: &str) -> RawValue {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return RawValue::Null,
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return RawValue::Bool(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return RawValue::Bool(false),
        _ => {}
    }
    if let Some(number) = integer(text) {
        return RawValue::Int(number);
    }
    match float(text) {
        Some(number) => RawValue::Float(number),
        None => RawValue::Text(text.to_owned()),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let first = digits.chars().next()?;
    if !first.is_ascii_digit() {
        return None;
    }
    let bare = digits.replace('_', "");
    let number = if let Some(binary) = bare.strip_prefix("0b") {
        i64::from_str_radix(binary, 2).ok()?
    } else if let Some(hexadecimal) = bare.strip_prefix("0x") {
        i64::from_str_radix(hexadecimal, 16).ok()?
    } else if bare.len() > 1 && first == '0' && !bare.contains(':') {
        i64::from_str_radix(&bare, 8).ok()?
    } else if bare.contains(':') && first != '0' {
        sexagesimal(&bare)?
    } else if bare.contains(':') {
        return None;
    } else {
        bare.parse().ok()?
    };
    Some(sign * number)
}

/// `1:30` is ninety in YAML 1.1.
fn sexagesimal(text: &str) -> Option<i64> {
    let mut number: i64 = 0;
    for (index, part) in text.split(':').enumerate() {
        let digit: i64 = part.parse().ok()?;
        if index > 0 && (part.len() > 2 || digit > 59) {
            return None;
        }
        number = number.checked_mul(60)?.checked_add(digit)?;
    }
    Some(number)
}

fn float(text: &str) -> Option<f64> {
    let unsigned = text.trim_start_matches(['-', '+']);
    match unsigned.to_ascii_lowercase().as_str() {
        ".inf" => return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY }),
        ".nan" => return Some(f64::NAN),
        _ => {}
    }
    let begins = unsigned.starts_with(|first: char| first.is_ascii_digit() || first == '.');
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let plain = mantissa.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b'_');
    // YAML 1.1 wants a point, and a sign in the exponent.
    let dots = mantissa.bytes().filter(|byte| *byte == b'.').count();
    let signed = exponent.is_none_or(|exponent| exponent.starts_with(['+', '-']));
    if !begins || !plain || dots != 1 || !signed {
        return None;
    }
    text.replace('_', "").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_are_those_of_yaml_1_1() {
        for (text, value) in [
            ("yes", RawValue::Bool(true)),
            ("Off", RawValue::Bool(false)),
            ("y", RawValue::Text("y".to_owned())),
            ("~", RawValue::Null),
            ("0644", RawValue::Int(420)),
            ("0x1F", RawValue::Int(31)),
            ("-12_000", RawValue::Int(-12_000)),
            ("1:30", RawValue::Int(90)),
            ("1.5", RawValue::Float(1.5)),
            ("1e3", RawValue::Text("1e3".to_owned())),
            ("1.0e+3", RawValue::Float(1000.0)),
            ("v1.33.6+k3s1", RawValue::Text("v1.33.6+k3s1".to_owned())),
            ("10.0.0.1", RawValue::Text("10.0.0.1".to_owned())),
            ("08", RawValue::Text("08".to_owned())),
        ] {
            assert_eq!(plain(text), value, "{text}");
        }
    }
}
