//! Quoting for nginx's configuration, which knows no escape for `$` and none for its own token buffer.

/// The longest token that nginx reads, its quotes included, in bytes (measured: 1.22.1; `NGX_CONF_BUFFER` − 1).
pub const TOKEN_MAX: usize = 4095;

/// Why a value cannot stand in an nginx configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuoteError {
    /// A control character: newline, NUL and the like.
    #[error("it holds the control character U+{:04X}, which cannot stand in an nginx configuration", u32::from(*.0))]
    Control(char),
    /// A `$` where nginx would put a variable's value.
    #[error("it holds a `$`, which nginx would read as a variable and which cannot be escaped")]
    Dollar,
    /// Longer than nginx's token buffer.
    #[error("it takes {0} bytes in the configuration, and nginx reads at most {TOKEN_MAX} in one word")]
    TooLong(usize),
    /// What begins like this has a meaning of its own there.
    #[error("it begins with `{0}`, which has a meaning of its own to nginx")]
    Prefix(char),
}

/// `value` in double quotes, meaning exactly itself. For places where nginx puts no variables in: see [`literal`].
fn quoted(value: &str) -> Result<String, QuoteError> {
    if let Some(control) = value.chars().find(|c| c.is_control() && *c != '\t') {
        return Err(QuoteError::Control(control));
    }
    let mut text = String::with_capacity(value.len() + 2);
    text.push('"');
    for character in value.chars() {
        // nginx resolves \" \' \\ \t \r \n and keeps every other backslash, so doubling each of them is exact.
        if matches!(character, '"' | '\\') {
            text.push('\\');
        }
        text.push(character);
    }
    text.push('"');
    if text.len() > TOKEN_MAX { Err(QuoteError::TooLong(text.len())) } else { Ok(text) }
}

/// `value` as one word that means exactly itself, wherever the word stands.
///
/// # Errors
/// On control characters, a `$` (nginx has no escape for it) and what does not fit nginx's token buffer.
pub fn literal(value: &str) -> Result<String, QuoteError> {
    if value.contains('$') {
        return Err(QuoteError::Dollar);
    }
    quoted(value)
}

/// `regex` as the key of a `map`: `"~REGEX"`. nginx puts no variables into a map's keys, so `$` is the regex's own.
///
/// # Errors
/// On control characters, on a leading `*` (it would mean "ignore case") and what does not fit nginx's token buffer.
pub fn regex_key(regex: &str) -> Result<String, QuoteError> {
    if regex.starts_with('*') {
        return Err(QuoteError::Prefix('*'));
    }
    quoted(&format!("~{regex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_quoted_so_that_it_means_itself() {
        assert_eq!(literal("plain").unwrap(), r#""plain""#);
        assert_eq!(literal(r#"a"b\c;{}"#).unwrap(), r#""a\"b\\c;{}""#);
        assert_eq!(regex_key(r"^/a\.b$").unwrap(), r#""~^/a\\.b$""#);
    }

    #[test]
    fn what_cannot_be_quoted_is_refused() {
        assert_eq!(literal("$host"), Err(QuoteError::Dollar));
        assert_eq!(literal("a\nb"), Err(QuoteError::Control('\n')));
        assert_eq!(regex_key("a\0b"), Err(QuoteError::Control('\0')));
        assert_eq!(regex_key("*a"), Err(QuoteError::Prefix('*')));
        assert_eq!(regex_key(&"a".repeat(10_000)), Err(QuoteError::TooLong(10_003)));
    }

    #[test]
    fn the_longest_word_is_measured_with_its_quotes_and_escapes() {
        assert!(regex_key(&"a".repeat(4092)).is_ok() && regex_key(&"a".repeat(4093)).is_err());
        assert!(regex_key(&"\\".repeat(2046)).is_ok() && regex_key(&"\\".repeat(2047)).is_err());
    }
}
