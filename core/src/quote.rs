//! The one function that quotes a value for a POSIX shell.

/// `value` as one word of a POSIX shell line. NUL cannot occur in an argument; it is refused by the callers' validation.
pub fn shell(value: &str) -> String {
    let plain = !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"_@%+=:,./-".contains(&b));
    if plain { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) }
}

/// An argument vector as one shell line that means exactly these words.
pub fn shell_line<S: AsRef<str>>(argv: &[S]) -> String {
    argv.iter().map(|word| shell(word.as_ref())).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a POSIX shell makes of a line: its words.
    #[allow(clippy::disallowed_types, clippy::disallowed_methods)] // the shell itself is the judge
    fn words(line: &str) -> Vec<String> {
        let script = format!("printf '%s\\0' {line}");
        let output = std::process::Command::new("sh").arg("-c").arg(script).output().unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    #[test]
    fn plain_words_stay_readable() {
        assert_eq!(shell_line(&["nginx", "-s", "reload", "a b", "it's", ""]), r"nginx -s reload 'a b' 'it'\''s' ''");
    }

    #[test]
    fn a_shell_reads_back_every_single_character() {
        let singles: Vec<String> = (1..=255_u32).filter_map(char::from_u32).map(String::from).collect();
        let around: Vec<String> = singles.iter().map(|c| format!("a{c}b")).collect();
        for all in [singles, around] {
            assert_eq!(words(&shell_line(&all)), all);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_shell_reads_back_the_same_words(
            argv in prop::collection::vec("([^\\x00]|[ '\"$`\\\\;&|<>*?~#=%!(){}\\[\\]\n\t-]){0,12}", 1..12),
        ) {
            prop_assert_eq!(words(&shell_line(&argv)), argv);
        }
    }
}
