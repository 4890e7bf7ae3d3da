//! The one way of a value into a script: that of `core`, which the operator's own shell files take, too.

pub(crate) use bringup_core::text::shell::word;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use bringup_core::text::shell::{Forward, Shell, start_up, zsh_theme};
    use proptest::prelude::*;

    use super::word;

    fn said(shell: &str, script: &str) -> String {
        let output = Command::new(shell).args(["-c", script]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// The site's checks keep such values out already; the text must not rely on that.
    #[test]
    fn no_value_of_a_site_gets_out_of_its_word_in_the_operators_shell_files() {
        for value in
            ["/a b", "/$(echo pwned)", "/`echo pwned`", "/\"; echo pwned; \"", "/'; echo pwned; '", "/x\necho pwned"]
        {
            // Of the completions nothing is wanted here: kubectl may not be there.
            let lines = start_up(Shell::Bash, value);
            let (path, _) = lines.split_once("\nalias ").unwrap();
            assert_eq!(
                said("bash", &format!("PATH=/usr/bin; {path}\nprintf %s \"$PATH\"")),
                format!("{value}:/usr/bin")
            );
            let theme = zsh_theme(value);
            let (theme, _) = theme.split_once("\nsource ").unwrap();
            assert_eq!(said("sh", &format!("{theme}\nprintf %s \"$ZSH_THEME\"")), value);
            let forward =
                Forward { page: "argocd", namespace: "argo-cd", service: "service/x", port: 8080, remote: 443 };
            let script = forward.script(value);
            let (echo, _) = script.rsplit_once("\nexec ").unwrap();
            let expected = format!("argocd: https://localhost:8080 (through the ingress: https://argocd.{value})\n");
            assert_eq!(said("bash", echo), expected);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_real_shell_reads_it_back(value in "[^\\x00]{0,40}") {
            let script = format!("printf '%s' {}", word(&value));
            let output = Command::new("sh").args(["-c", &script]).output().unwrap();
            prop_assert_eq!(String::from_utf8_lossy(&output.stdout), value);
        }
    }
}
