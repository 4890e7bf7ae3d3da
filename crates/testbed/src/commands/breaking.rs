//! `testbed break` and `testbed fix`.

use clap::ValueEnum;

use super::at_host;
use crate::args::Breaking;
use crate::board::fault::{self, Fault};
use crate::breakage::{self, What};
use crate::failure::Failure;
use crate::testbed::{Place, Testbed};
use crate::tools;

/// Which of the two.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verb {
    /// `break`.
    Break,
    /// `fix`.
    Fix,
}

/// Does it.
pub fn run(testbed: &Testbed, verb: Verb, wanted: &Breaking) -> Result<(), Failure> {
    tools::root()?;
    let host = testbed.host(&wanted.host)?;
    let _locks = at_host(testbed, host)?;
    if host.place == Place::Bmc {
        let fault: Fault = named(&wanted.what)?;
        return match verb {
            Verb::Break => fault::break_it(testbed, host, fault, wanted.slot, wanted.value.as_deref()),
            Verb::Fix => fault::fix(testbed, host, fault, wanted.slot),
        };
    }
    let what: What = named(&wanted.what)?;
    match verb {
        Verb::Break => breakage::break_it(testbed, host, what),
        Verb::Fix => breakage::fix(testbed, host, what),
    }
}

fn named<T: ValueEnum>(name: &str) -> Result<T, Failure> {
    T::from_str(name, false).map_err(|_| {
        let all = T::value_variants().iter().filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned()));
        Failure::new(
            format!("break `{name}`"),
            format!("what can be broken here: {}", all.collect::<Vec<_>>().join(", ")),
        )
    })
}
