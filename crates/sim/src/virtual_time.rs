//! Virtual time: tokio's clock, stopped, going forward only when everyone waits.

use std::future::Future;
use std::io;

/// Runs something in virtual time, on this thread, to its end.
///
/// # Errors
/// When the operating system gives no event loop.
pub fn in_virtual_time<F: Future>(going: F) -> io::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    Ok(runtime.block_on(going))
}
