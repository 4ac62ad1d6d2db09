//! What a balancer's `nginx -T` prints, read by a real parser: every file that its nginx loads, with the includes put where
//! they stand, and what in it would let traffic pass bg by.

mod findings;
mod lex;
mod limit_conn;
mod limit_req;
mod passes;
mod servers;

use std::collections::HashMap;
use std::sync::Arc;

use lex::{Lexer, Token, Unreadable};

pub use findings::{Finding, Severity, findings};
pub use limit_req::longest_limit_req_delay_ms;

/// nginx refuses an include that includes itself; a dump that was made up must not hang this.
const MAX_DEPTH: usize = 32;

/// One directive with what stands in its braces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directive {
    /// Its first word.
    pub name: String,
    /// The other words, unquoted.
    pub args: Vec<String>,
    /// What stands in its braces, the content of included files in the place of their `include`.
    pub block: Option<Vec<Directive>>,
    /// The file that it stands in.
    pub file: Arc<str>,
    /// Its line there, from 1.
    pub line: usize,
}

impl Directive {
    /// What stands in its braces; nothing when it has none.
    pub fn children(&self) -> &[Directive] {
        self.block.as_deref().unwrap_or_default()
    }

    /// Calls `visit` for this directive and everything in it, in the order of the text.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Directive)) {
        visit(self);
        self.children().iter().for_each(|child| child.walk(visit));
    }
}

/// The whole configuration of one nginx.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dump {
    /// The main file's directives, includes resolved.
    pub root: Vec<Directive>,
    /// Each loaded file with its text, in nginx's order, the main file first.
    pub files: Vec<(Arc<str>, String)>,
}

/// A text that is not what `nginx -T` prints.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DumpError {
    /// No `# configuration file PATH:` in it.
    #[error("this is not what `nginx -T` prints: no line `# configuration file …:` is in it")]
    NoFiles,
    /// A file that cannot be read.
    #[error("{file}:{line}: {why}")]
    Unreadable {
        /// The file.
        file: String,
        /// Its line, from 1.
        line: usize,
        /// What is wrong there.
        why: &'static str,
    },
}

impl Dump {
    /// Reads what `nginx -T` prints on its standard output.
    ///
    /// # Errors
    /// When it is something else, or one of the files is nothing that nginx would have accepted.
    pub fn parse(text: &str) -> Result<Dump, DumpError> {
        let files = split(text);
        let Some((main, _)) = files.first().cloned() else { return Err(DumpError::NoFiles) };
        let folder = main.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        let mut parsed = HashMap::new();
        for (name, text) in &files {
            let directives = parse_file(name, text).map_err(|Unreadable { line, why }| DumpError::Unreadable {
                file: name.to_string(),
                line,
                why,
            })?;
            parsed.insert(Arc::clone(name), directives);
        }
        let names: Vec<Arc<str>> = files.iter().map(|(name, _)| Arc::clone(name)).collect();
        let includes = Includes { folder, names, parsed: &parsed };
        let root = parsed.get(&main).map(|directives| includes.resolve(directives, 0)).unwrap_or_default();
        Ok(Dump { root, files })
    }

    /// The `http` blocks' contents. (nginx allows one.)
    pub fn http(&self) -> impl Iterator<Item = &Directive> {
        self.root.iter().filter(|d| d.name == "http")
    }
}

/// The dump's files: each begins behind a line `# configuration file /PATH:`.
fn split(text: &str) -> Vec<(Arc<str>, String)> {
    let mut files: Vec<(Arc<str>, String)> = Vec::new();
    for line in text.lines() {
        let header = line.strip_prefix("# configuration file /").and_then(|rest| rest.strip_suffix(':'));
        match (header, files.last_mut()) {
            (Some(path), _) => files.push((format!("/{path}").into(), String::new())),
            (None, Some((_, text))) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, None) => {}
        }
    }
    files
}

fn parse_file(file: &Arc<str>, text: &str) -> Result<Vec<Directive>, Unreadable> {
    let mut lexer = Lexer::new(text);
    // The directives of each open block; the words and the line of the directive that owns it.
    let mut open: Vec<(Vec<String>, usize, Vec<Directive>)> = Vec::new();
    let mut current: Vec<Directive> = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut start = 1;
    while let Some((token, line)) = lexer.next()? {
        let wrong = |why| Err(Unreadable { line, why });
        match token {
            Token::Word(word) => {
                start = if words.is_empty() { line } else { start };
                words.push(word);
            }
            Token::End | Token::Open if words.is_empty() => return wrong("a directive has no name"),
            Token::End => current.push(directive(file, std::mem::take(&mut words), start, None)),
            Token::Open => open.push((std::mem::take(&mut words), start, std::mem::take(&mut current))),
            Token::Close => {
                let Some((owner, start, outside)) = open.pop() else { return wrong("`}` closes nothing") };
                if !words.is_empty() {
                    return wrong("a directive is not ended by `;`");
                }
                let block = std::mem::replace(&mut current, outside);
                current.push(directive(file, owner, start, Some(block)));
            }
        }
    }
    match (open.pop(), words.is_empty()) {
        (None, true) => Ok(current),
        (Some((_, line, _)), _) => Err(Unreadable { line, why: "`{` is never closed" }),
        (None, false) => Err(Unreadable { line: start, why: "a directive is not ended by `;`" }),
    }
}

fn directive(file: &Arc<str>, words: Vec<String>, line: usize, block: Option<Vec<Directive>>) -> Directive {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    Directive { name, args: words.collect(), block, file: Arc::clone(file), line }
}

/// Puts included files in the place of their `include`.
struct Includes<'a> {
    /// Relative paths begin here: the main file's folder.
    folder: String,
    names: Vec<Arc<str>>,
    parsed: &'a HashMap<Arc<str>, Vec<Directive>>,
}

impl Includes<'_> {
    fn resolve(&self, directives: &[Directive], depth: usize) -> Vec<Directive> {
        let mut resolved = Vec::with_capacity(directives.len());
        for one in directives {
            match (one.name.as_str(), one.args.as_slice()) {
                ("include", [pattern]) if one.block.is_none() => {
                    if depth < MAX_DEPTH {
                        self.targets(pattern).for_each(|file| resolved.extend(self.resolve(file, depth + 1)));
                    }
                }
                _ => {
                    let block = one.block.as_ref().map(|block| self.resolve(block, depth));
                    resolved.push(Directive { block, ..one.clone() });
                }
            }
        }
        resolved
    }

    /// The files that an include means, in glob(3)'s order.
    fn targets(&self, pattern: &str) -> impl Iterator<Item = &Vec<Directive>> {
        let absolute = if pattern.starts_with('/') { pattern.to_owned() } else { format!("{}/{pattern}", self.folder) };
        let mut names: Vec<&Arc<str>> = self.names.iter().filter(|name| glob(&absolute, name)).collect();
        names.sort();
        names.into_iter().filter_map(|name| self.parsed.get(name))
    }
}

/// Whether glob(3) would find `path` by `pattern`, component by component.
fn glob(pattern: &str, path: &str) -> bool {
    let components = |text: &str| -> Vec<String> {
        text.split('/').filter(|part| !part.is_empty() && *part != ".").map(str::to_owned).collect()
    };
    let (pattern, path) = (components(pattern), components(path));
    pattern.len() == path.len() && pattern.iter().zip(&path).all(|(pattern, name)| component_matches(pattern, name))
}

fn component_matches(pattern: &str, name: &str) -> bool {
    // A leading dot is never found by a wildcard.
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    wildcard(&pattern, &name)
}

fn wildcard(pattern: &[char], name: &[char]) -> bool {
    let (Some(first), rest) = (pattern.first(), pattern.get(1..).unwrap_or_default()) else { return name.is_empty() };
    match (first, name.split_first()) {
        ('*', _) => (0..=name.len()).any(|skip| wildcard(rest, &name[skip..])),
        ('?', Some((_, tail))) => wildcard(rest, tail),
        ('[', Some((c, tail))) => match class(rest, *c) {
            Some((matches, length)) => matches && wildcard(&rest[length..], tail),
            None => *c == '[' && wildcard(rest, tail),
        },
        ('\\', Some((c, tail))) if rest.first() == Some(c) => wildcard(&rest[1..], tail),
        (first, Some((c, tail))) => first == c && wildcard(rest, tail),
        (_, None) => false,
    }
}

/// Whether `c` is in the class that begins behind its `[`, and the class's length with the `]`; `None` when it never ends.
fn class(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.first(), Some('!' | '^'));
    let begin = usize::from(negated);
    let end = (begin + 1..pattern.len()).find(|at| pattern[*at] == ']')?;
    let members = &pattern[begin..end];
    let mut at = 0;
    let mut found = false;
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            found |= (members[at]..=members[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= members[at] == c;
            at += 1;
        }
    }
    Some((found != negated, end + 1))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
