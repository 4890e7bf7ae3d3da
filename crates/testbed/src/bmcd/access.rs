//! Who is let in. Clients on the BMC itself always are.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use base64::Engine;
use serde_json::{Value, json};

use super::answer::Answer;
use super::random;

/// After so many bad tries an address is blocked.
const TRIES: u32 = 5;

/// How long at first; it doubles with each try after that.
const BLOCK: Duration = Duration::from_secs(60);

/// It doubles so often at most.
const DOUBLINGS: u32 = 10;

const REALM: &str = "realm=\"Access to Baseboard Management Controller\"";

/// Passwords, tokens and bad tries. Time is given by the caller, as time since the daemon's start.
#[derive(Debug)]
pub struct Access {
    password: String,
    tokens: BTreeSet<String>,
    failures: BTreeMap<IpAddr, Failures>,
}

#[derive(Default, Debug)]
struct Failures {
    count: u32,
    blocked_until: Duration,
}

impl Access {
    /// With root's password.
    pub fn new(password: &str) -> Self {
        Self { password: password.to_owned(), tokens: BTreeSet::new(), failures: BTreeMap::new() }
    }

    fn blocked(&self, peer: IpAddr, now: Duration) -> Result<(), String> {
        let until = self.failures.get(&peer).map_or(Duration::ZERO, |failures| failures.blocked_until);
        match until.checked_sub(now) {
            Some(left) if left > Duration::ZERO => {
                Err(format!("Exceeded allowed authentication attempts. Access blocked for {}", spelled(left)))
            }
            _ => Ok(()),
        }
    }

    fn failed(&mut self, peer: IpAddr, now: Duration, why: String) -> String {
        let failures = self.failures.entry(peer).or_default();
        failures.count += 1;
        if failures.count >= TRIES {
            failures.blocked_until = now + BLOCK * (1 << (failures.count - TRIES).min(DOUBLINGS));
        }
        self.blocked(peer, now).err().unwrap_or(why)
    }

    /// A request for a token.
    pub fn log_in(&mut self, peer: IpAddr, body: &[u8], now: Duration) -> Answer {
        match self.token(peer, body, now) {
            Ok(token) => {
                let body = json!({
                    "id": token, "name": "User Session", "description": "User Session", "username": "root",
                });
                Answer::bare(200, body.to_string()).with("x-auth-token", token)
            }
            Err(why) => Answer::bare(403, why),
        }
    }

    fn token(&mut self, peer: IpAddr, body: &[u8], now: Duration) -> Result<String, String> {
        self.blocked(peer, now)?;
        let said: Value = serde_json::from_slice(body)
            .map_err(|error| self.failed(peer, now, format!("error trying to parse credentials: {error}")))?;
        let (user, password) = (said["username"].as_str(), said["password"].as_str());
        self.check(peer, user, password, now)?;
        let token = random::letters(64);
        self.tokens.insert(token.clone());
        Ok(token)
    }

    fn check(&mut self, peer: IpAddr, user: Option<&str>, password: Option<&str>, now: Duration) -> Result<(), String> {
        if user != Some("root") || password != Some(&self.password) {
            return Err(self.failed(peer, now, "credentials incorrect".to_owned()));
        }
        self.failures.remove(&peer);
        Ok(())
    }

    /// Whether a request may pass; if not, what it is told.
    pub fn admit(&mut self, peer: IpAddr, authorization: Option<&str>, now: Duration) -> Result<(), Answer> {
        if peer.is_loopback() {
            return Ok(());
        }
        let refused = |why: String| {
            let challenge = format!("Bearer {REALM} error=\"invalid_token\" error_description=\"{why}\"");
            Answer::bare(401, why).with("www-authenticate", challenge)
        };
        self.blocked(peer, now).map_err(refused)?;
        match authorization.map(|line| line.split_once(' ').unwrap_or((line, ""))) {
            None => Err(Answer::bare(401, "no authorization header provided".to_owned())
                .with("www-authenticate", format!("Basic {REALM}"))),
            Some(("Bearer", token)) if self.tokens.contains(token) => Ok(()),
            Some(("Bearer", token)) => Err(refused(format!("token {token} is not registered"))),
            Some(("Basic", credentials)) => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(credentials).unwrap_or_default();
                let decoded = String::from_utf8_lossy(&decoded).into_owned();
                let (user, password) = decoded.split_once(':').unwrap_or((&decoded, ""));
                self.check(peer, Some(user), Some(password), now).map_err(refused)
            }
            Some((scheme, _)) => Err(refused(format!("{scheme} authentication not supported"))),
        }
    }
}

/// As `59s 999ms 656us 7ns`.
fn spelled(time: Duration) -> String {
    let nanos = time.subsec_nanos();
    let parts = [
        (time.as_secs() / 3600, "h"),
        (time.as_secs() / 60 % 60, "m"),
        (time.as_secs() % 60, "s"),
        (u64::from(nanos / 1_000_000), "ms"),
        (u64::from(nanos / 1000 % 1000), "us"),
        (u64::from(nanos % 1000), "ns"),
    ];
    let said: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count}{unit}")).collect();
    said.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 9, 9, 2));

    #[test]
    fn a_block_ends_and_the_next_one_is_twice_as_long() {
        let mut access = Access::new("turing");
        let at = Duration::from_secs;
        let bad = br#"{"username":"root","password":"x"}"#;
        let good = br#"{"username":"root","password":"turing"}"#;
        for _ in 0..4 {
            assert_eq!(access.log_in(PEER, bad, at(1)).body, "credentials incorrect");
        }
        assert!(access.log_in(PEER, bad, at(1)).body.ends_with("Access blocked for 1m"));
        assert_eq!(access.log_in(PEER, good, at(60)).status, 403);
        assert!(access.log_in(PEER, bad, at(61)).body.ends_with("Access blocked for 2m"));
        assert_eq!(access.log_in(PEER, good, at(181)).status, 200);
        assert_eq!(access.log_in(PEER, bad, at(181)).body, "credentials incorrect");
    }

    #[test]
    fn a_password_opens_without_a_token_and_who_is_local_needs_neither() {
        let mut access = Access::new("turing");
        assert!(access.admit(PEER, Some("Basic cm9vdDp0dXJpbmc="), Duration::ZERO).is_ok());
        assert!(access.admit(PEER, Some("Basic cm9vdDo="), Duration::ZERO).is_err());
        assert!(access.admit(PEER, Some("Digest x"), Duration::ZERO).is_err());
        assert!(access.admit(IpAddr::from([127, 0, 0, 1]), None, Duration::ZERO).is_ok());
    }

    #[test]
    fn times_are_spelled_out() {
        assert_eq!(spelled(Duration::new(59, 999_656_007)), "59s 999ms 656us 7ns");
    }
}
