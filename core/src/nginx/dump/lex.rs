//! nginx's own way of reading words (`ngx_conf_read_token`), so that quotes, escapes, comments and braces mean here what they
//! mean there.

use std::iter::Peekable;
use std::str::Chars;

/// One piece of a configuration file with the line that it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word, unquoted and unescaped.
    Word(String),
    /// `;`
    End,
    /// `{`
    Open,
    /// `}`
    Close,
}

/// What is wrong with a text, and on which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) line: usize,
    pub(super) why: &'static str,
}

/// Reads one file's text.
pub(super) struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    line: usize,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a str) -> Lexer<'a> {
        Lexer { rest: text.chars().peekable(), line: 1 }
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.line += usize::from(next == Some('\n'));
        next
    }

    /// The next piece and its line; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(Token, usize)>, Unreadable> {
        loop {
            let line = self.line;
            let token = match self.rest.peek() {
                None => return Ok(None),
                Some(' ' | '\t' | '\r' | '\n') => {
                    self.bump();
                    continue;
                }
                Some('#') => {
                    while self.rest.peek().is_some_and(|c| *c != '\n') {
                        self.bump();
                    }
                    continue;
                }
                Some(';') => Token::End,
                Some('{') => Token::Open,
                Some('}') => Token::Close,
                Some(quote @ ('"' | '\'')) => {
                    let quote = *quote;
                    self.bump();
                    return Ok(Some((Token::Word(self.quoted(quote, line)?), line)));
                }
                Some(_) => return Ok(Some((Token::Word(self.bare()), line))),
            };
            self.bump();
            return Ok(Some((token, line)));
        }
    }

    fn quoted(&mut self, quote: char, line: usize) -> Result<String, Unreadable> {
        let mut word = String::new();
        loop {
            match self.bump() {
                None => return Err(Unreadable { line, why: "a quote is never closed" }),
                Some('\\') => self.escape(&mut word),
                Some(c) if c == quote => break,
                Some(c) => word.push(c),
            }
        }
        // nginx wants a space here; `)` is the end of an `if`.
        match self.rest.peek() {
            None | Some(' ' | '\t' | '\r' | '\n' | ';' | '{' | ')') => Ok(word),
            Some(_) => Err(Unreadable { line, why: "something follows a closing quote" }),
        }
    }

    fn bare(&mut self) -> String {
        let mut word = String::new();
        let mut after_dollar = false;
        while let Some(&c) = self.rest.peek() {
            // The brace of `${name}` belongs to the word.
            if matches!(c, ' ' | '\t' | '\r' | '\n' | ';') || c == '{' && !after_dollar {
                break;
            }
            self.bump();
            if c == '\\' {
                self.escape(&mut word);
            } else {
                word.push(c);
            }
            after_dollar = c == '$';
        }
        word
    }

    /// What follows a backslash: nginx resolves these few and keeps every other backslash.
    fn escape(&mut self, word: &mut String) {
        match self.bump() {
            Some(c @ ('"' | '\'' | '\\')) => word.push(c),
            Some('t') => word.push('\t'),
            Some('r') => word.push('\r'),
            Some('n') => word.push('\n'),
            Some(c) => word.extend(['\\', c]),
            None => word.push('\\'),
        }
    }
}
