//! One question to a name server, without the machine's own resolver: it knows nothing of a testbed.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

/// What address a name has, if the server says so in time.
pub fn ask(server: Ipv4Addr, name: &str) -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.set_read_timeout(Some(Duration::from_millis(500))).ok()?;
    socket.connect((server, 53)).ok()?;
    let question = question(name)?;
    socket.send(&question).ok()?;
    let mut answer = [0_u8; 1024];
    let length = socket.recv(&mut answer).ok()?;
    address(answer.get(..length)?, question.len())
}

/// Asks for type A, class IN.
fn question(name: &str) -> Option<Vec<u8>> {
    let mut bytes = vec![0x74, 0x62, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        bytes.push(u8::try_from(label.len()).ok().filter(|length| (1..64).contains(length))?);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 0, 1, 0, 1]);
    Some(bytes)
}

/// The first answer's address: two bytes of name (a pointer), type, class, life and length before it.
fn address(answer: &[u8], question: usize) -> Option<Ipv4Addr> {
    let counts = (answer.get(..2)? == [0x74, 0x62]).then(|| answer.get(6..8))??;
    if counts == [0, 0] {
        return None;
    }
    let record = answer.get(question..)?;
    if record.get(2..4)? != [0, 1] {
        return None;
    }
    let octets: [u8; 4] = record.get(12..16)?.try_into().ok()?;
    Some(Ipv4Addr::from(octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_none_is_none() {
        let asked = question("node01.lan").unwrap();
        let mut answer = asked.clone();
        answer[7] = 1;
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 97, 1, 11]);
        assert_eq!(address(&answer, asked.len()), Some(Ipv4Addr::new(10, 97, 1, 11)));
        assert_eq!(address(&asked, asked.len()), None);
        assert_eq!(address(&answer[..30], asked.len()), None);
        assert_eq!(question("a..b"), None);
    }
}
