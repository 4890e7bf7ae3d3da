//! Probes and deeds as POSIX shell, and answers out of what it prints.
//!
//! Nothing else in the project contains shell, and nothing from a site or a target reaches it but through
//! [`quote::word`].

mod answers;
pub(crate) mod bmc;
pub(crate) mod bmc_seed;
mod effects;
mod jobs;
pub(crate) mod k3s;
mod questions;
mod quote;
#[cfg(test)]
mod recorded;
mod script;

pub(crate) use self::answers::{answer, file};
pub(crate) use self::effects::effect;
pub(crate) use self::questions::question;
pub(crate) use self::quote::word;
pub(crate) use self::script::{Script, Section};
