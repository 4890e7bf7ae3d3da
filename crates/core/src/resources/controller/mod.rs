//! On the controller: tools, files and lines of shell.

pub(super) mod completion;
pub(super) mod fetched_file;
pub(super) mod helm_plugin;
pub(super) mod marked_file;
pub(super) mod shell_block;
pub(super) mod tool;
