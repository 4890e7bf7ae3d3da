//! The web and the controller's disk as sources of files: fetched with resume, proved before they are in place, and
//! kept in a cache.

mod address;
mod archive;
mod arrivals;
mod client;
mod coming;
mod error;
mod fetch;
mod fetched;
mod sink;
mod source;
mod sums;
mod text;
mod tls;

pub(crate) use self::archive::extract;
pub(crate) use self::arrivals::{Arrival, Arrivals, Broken};
pub(crate) use self::error::WebError;
pub(crate) use self::fetch::{Fetch, LONGEST_FILE, STALL_BOUND, fetch};
pub(crate) use self::fetched::fetched_sum;
pub(crate) use self::sums::file_state;
pub(crate) use self::text::text;
