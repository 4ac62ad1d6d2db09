//! Text that others wrote: shown on a terminal, it must neither drive it nor read as something else.

use serde::{Deserialize, Deserializer};

/// Whether a character is not to be shown: it would drive a terminal, or turns the direction of writing around and makes a
/// line read as another one.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// The text with a mark in place of every character that [`is_hidden`].
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { '\u{fffd}' } else { c }).collect()
}

/// For `deserialize_with`: a string that is [`plain`].
pub(crate) fn plain_string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    String::deserialize(deserializer).map(|text| plain(&text))
}

/// For `deserialize_with`: the same of a string that may be missing.
pub(crate) fn plain_option<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.as_deref().map(plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_drive_a_terminal_is_marked_and_words_stay() {
        assert_eq!(plain("anna \u{e9}\u{df} \u{65e5}"), "anna \u{e9}\u{df} \u{65e5}");
        assert_eq!(
            plain("a\u{1b}[2Jb\r\n\u{7}\u{202e}c\u{200b}"),
            "a\u{fffd}[2Jb\u{fffd}\u{fffd}\u{fffd}\u{fffd}c\u{fffd}"
        );
    }
}
