//! The shell text that a plan compares: our lines in the operator's start-up files, and the helper scripts. Scripts for
//! hosts are rendered in `world`; both put values into shell by [`word`] alone, and into comments never.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value as one word of POSIX shell, whatever is in it. A NUL cannot be in a word of any shell and is left out.
#[must_use]
pub fn word(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&byte);
    if !value.is_empty() && value.bytes().all(plain) {
        return value.to_owned();
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('\'');
    for character in value.chars() {
        match character {
            '\'' => quoted.push_str("'\\''"),
            '\0' => {}
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

/// A shell whose start-up file has lines of ours, and which completes arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shell {
    /// bash.
    Bash,
    /// zsh.
    Zsh,
}

impl Shell {
    /// Its start-up file, below the home directory.
    #[must_use]
    pub fn start_up_file(self) -> &'static str {
        match self {
            Self::Bash => ".bashrc",
            Self::Zsh => ".zshrc",
        }
    }
}

impl fmt::Display for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
        })
    }
}

/// Our lines in a start-up file: the tools' directory in the `PATH`, and completions.
#[must_use]
pub fn start_up(shell: Shell, bin_dir: &str) -> String {
    let completions = match shell {
        Shell::Bash => "source <(kubectl completion bash)\ncomplete -o default -F __start_kubectl k\n",
        Shell::Zsh => {
            "fpath=(\"$HOME/.local/share/zsh/site-functions\" $fpath)\nautoload -Uz compinit && compinit\n\
             compdef k=kubectl\n"
        }
    };
    format!("export PATH={}:\"$PATH\"\nalias k=kubectl\n{completions}", word(bin_dir))
}

/// Our lines for a theme of oh-my-zsh.
#[must_use]
pub fn zsh_theme(theme: &str) -> String {
    format!("ZSH_THEME={}\nsource \"$ZSH/oh-my-zsh.sh\"\n", word(theme))
}

/// A way to one of the cluster's own pages, for when its ingress is not there yet.
#[derive(Clone, Copy, Debug)]
pub struct Forward {
    /// The page, and its name below the cluster's domain.
    pub page: &'static str,
    /// Namespace of the service.
    pub namespace: &'static str,
    /// The service, as `kubectl port-forward` takes it.
    pub service: &'static str,
    /// Port here.
    pub port: u16,
    /// Port of the service.
    pub remote: u16,
}

impl Forward {
    /// The script's commands, without its first line.
    #[must_use]
    pub fn script(&self, domain: &str) -> String {
        let Self { page, namespace, service, port, remote } = self;
        let ingress =
            if domain.is_empty() { String::new() } else { format!(" (through the ingress: https://{page}.{domain})") };
        let line = word(&format!("{page}: https://localhost:{port}{ingress}"));
        format!("echo {line}\nexec kubectl port-forward -n {namespace} {service} {port}:{remote}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_quotes_has_none() {
        assert_eq!(word("/etc/apt/sources.list.d/a_b-c.list"), "/etc/apt/sources.list.d/a_b-c.list");
        assert_eq!(word(""), "''");
        assert_eq!(word("it's"), "'it'\\''s'");
    }
}
