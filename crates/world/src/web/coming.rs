//! How far a file is that comes just now.

use std::sync::Arc;

use super::error::WebError;

/// How far a file is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coming {
    /// Bytes that can be read.
    pub length: u64,
    /// Bytes in all, 0 while that is not known.
    pub total: u64,
    /// How it ended.
    pub over: Option<Result<(), Arc<WebError>>>,
}
