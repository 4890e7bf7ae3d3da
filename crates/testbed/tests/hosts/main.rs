//! `bringup` on real hosts. Each test has hosts of its own; they need root, and are run by `scripts/test`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test")]

mod bed;
mod board_faults;
mod boards;
mod cluster;
mod controller;
mod faults;
mod k3s_136;
mod k3s_contract;
mod k3s_release;
mod killed;
mod maintenance;
mod move_fs;
mod secrets;
mod services;
mod simulation;
mod stories;
mod testbeds;
mod wait;
