//! Where a site's text comes from.

/// Gives the text of files and the values of the environment. The real one reads the controller's disk; tests and
/// the embedded example give text that they hold.
pub trait Source {
    /// A file's text, or `None` if there is no such file. A file that is there and cannot be read is an error in words.
    fn read(&self, path: &str) -> Result<Option<String>, String>;

    /// The names in a directory, sorted, or `None` if there is no such directory.
    fn list(&self, directory: &str) -> Result<Option<Vec<String>>, String>;

    /// Whether anybody may put files into a directory: what stands there may be anybody's.
    fn is_world_writable(&self, directory: &str) -> bool {
        let _ = directory;
        false
    }

    /// The last part of a directory's path, however it is spelt: `.` and links have another one than they show.
    fn directory_name(&self, directory: &str) -> Option<String> {
        directory.trim_end_matches('/').rsplit('/').next().map(str::to_owned)
    }

    /// An environment variable.
    fn env(&self, name: &str) -> Option<String>;

    /// The user's home directory.
    fn home(&self) -> String;
}
