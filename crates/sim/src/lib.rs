//! The simulated world: boards, nodes and a cluster that answer as real ones do, in virtual time.
