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
