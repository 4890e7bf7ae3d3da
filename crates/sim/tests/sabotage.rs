//! Each guard taken out in turn: the swarm must notice within its thousand seeds, or the guard guards nothing.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]
#![cfg(debug_assertions)]

mod common;

use bringup_core::sabotage::{Guard, Guards};
use common::swarm;

const SEEDS: u64 = 1000;

fn is_noticed(guard: Guard) {
    let found = (0..SEEDS).find_map(|seed| Some((seed, swarm::run(seed, Guards::without(guard)).err()?)));
    let Some((seed, failure)) = found else { panic!("{guard:?}: nobody noticed within {SEEDS} seeds") };
    println!("{guard:?}: seed {seed}: {}", failure.lines().next().unwrap_or_default());
}

#[test]
fn without_the_life_check() {
    is_noticed(Guard::LifeCheck);
}

#[test]
fn without_the_usb_span() {
    is_noticed(Guard::UsbSpan);
}

#[test]
fn without_consent() {
    is_noticed(Guard::Consent);
}

#[test]
fn without_the_known_hosts_writer() {
    is_noticed(Guard::KnownHostsWriter);
}

#[test]
fn without_the_boot_id_proof() {
    is_noticed(Guard::BootIdProof);
}

#[test]
fn without_takeover() {
    is_noticed(Guard::Takeover);
}

#[test]
fn without_the_maintenance_gate() {
    is_noticed(Guard::MaintenanceGate);
}
