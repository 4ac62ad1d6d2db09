//! Checks of single values. Each says what is wrong in words that follow the key.

use std::net::IpAddr;

use ipnet::IpNet;

use super::finding::quoted;
use super::reader::Wrong;
use crate::nginx::limits::{self, LimitError};

/// No name, path, host or line of the inventory needs to be longer, and nginx reads no parameter beyond 4 kB.
const MAX_CHARS: usize = 2_000;

/// Words that nginx names and commands are made of; no pool or segment may be called so.
const TAKEN: [&str; 11] =
    ["segment", "half", "raw", "path", "key", "bucket", "slot", "inflight", "all", "local", "balancers"];

/// What nginx itself cannot take; most of it is said better before.
pub(super) fn nginx(checked: Result<(), LimitError>) -> Result<(), Wrong> {
    checked.map_err(|error| Wrong::new("cannot be used in nginx", error.to_string()))
}

fn plain_name(text: &str) -> Result<String, Wrong> {
    let rule = "a lower-case letter, then lower-case letters and digits";
    let fits = |(at, b): (usize, u8)| b.is_ascii_lowercase() || at > 0 && b.is_ascii_digit();
    if text.is_empty() || !text.bytes().enumerate().all(fits) {
        return Err(Wrong::new("is not a name", rule));
    }
    Ok(text.to_owned())
}

/// `[a-z][a-z0-9]*`, usable in front of nginx variables.
pub(super) fn site_name(text: &str) -> Result<String, Wrong> {
    let name = plain_name(text)?;
    nginx(limits::site_name(text))?;
    Ok(name)
}

/// The name of a pool or a segment: `[a-z][a-z0-9]*`, none of the taken words.
pub(super) fn name(text: &str) -> Result<String, Wrong> {
    if TAKEN.contains(&text) {
        let help = format!("these words are taken: {}", TAKEN.join(", "));
        return Err(Wrong::new("is a taken word", "choose another name").help(help));
    }
    plain_name(text)
}

/// Something on one line that is neither empty nor hides anything.
pub(super) fn line(text: &str) -> Result<String, Wrong> {
    if text.trim().is_empty() {
        return Err(Wrong::new("is empty", "a text is needed here"));
    }
    if text.len() > MAX_CHARS {
        return Err(Wrong::new("is too long", format!("at most {MAX_CHARS} bytes")));
    }
    match text.char_indices().find(|(_, c)| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        Some((at, c)) => Err(Wrong::new("holds a control character", "must be one line of plain text")
            .help(format!("the character {} is at fault", quoted(&c.to_string())))
            .at(at..at + c.len_utf8())),
        None => Ok(text.to_owned()),
    }
}

/// The first character that is not allowed, as something wrong.
fn only(text: &str, what: &str, allowed: &str, fits: impl Fn(char) -> bool) -> Result<(), Wrong> {
    match text.char_indices().find(|(_, c)| !fits(*c)) {
        Some((at, c)) => {
            Err(Wrong::new(format!("is not {what}"), format!("{} is not allowed here", quoted(&c.to_string())))
                .help(format!("only {allowed}"))
                .at(at..at + c.len_utf8()))
        }
        None => Ok(()),
    }
}

fn is_host_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
}

/// How ssh reaches a host: a name or alias `[A-Za-z0-9._-]+` that begins with none of `-` and `.`, or an address.
pub(super) fn host(text: &str) -> Result<String, Wrong> {
    line(text)?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    if let Some((_, name)) = text.split_once('@') {
        return Err(Wrong::new("holds a user", "the user does not belong here")
            .help(format!("write {} and put the user into `[ssh] user` or the ssh config", quoted(name))));
    }
    only(text, "a host", "letters, digits, `.`, `_`, `-`, or an IPv4 or IPv6 address", is_host_char)?;
    if text.starts_with(['-', '.']) {
        return Err(Wrong::new("is not a host", "must begin with a letter or a digit").at(0..1));
    }
    if text.len() > 253 {
        return Err(Wrong::new("is too long", "a host name has at most 253 characters"));
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(Wrong::new("is not an IPv4 address", "four numbers from 0 to 255"));
    }
    Ok(text.to_owned())
}

/// What nginx connects to: a DNS name, an IPv4 or a bare IPv6 address.
pub(super) fn address(text: &str) -> Result<String, Wrong> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inside, _)| inside);
    if bare.is_some_and(|bare| bare.parse::<IpAddr>().is_ok()) {
        return Err(Wrong::new("is not an address", "an IPv6 address stands here without brackets"));
    }
    if let Some((name, port)) = text.split_once(':')
        && !port.contains(':')
        && port.bytes().all(|b| b.is_ascii_digit())
    {
        return Err(Wrong::new("is not an address", "the port does not belong here")
            .help(format!("write `address = \"{name}\", port = {port}`"))
            .at(name.len()..text.len()));
    }
    let address = host(text)?;
    if address.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified()) {
        return Err(Wrong::new("is no server's address", "it means every address of this machine"));
    }
    nginx(limits::address(&address))?;
    Ok(address)
}

/// `10.0.0.0/8`, `2001:db8::/32`, or one address.
pub(super) fn network(text: &str) -> Result<IpNet, Wrong> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(IpNet::from(address));
    }
    let example = "an address or a network such as \"10.0.0.0/8\"";
    let network: IpNet = text.parse().map_err(|_| Wrong::new("is not a network", example))?;
    if network.trunc() != network {
        let help = format!("write `{}` for the network, or `{}` for the one address", network.trunc(), network.addr());
        return Err(Wrong::new("is not a network", "the address has bits beyond the prefix").help(help));
    }
    Ok(network)
}

/// An absolute directory on a host: `[A-Za-z0-9._/@+-]+` without `.`, `..` or empty components, and not `/` itself.
pub(super) fn directory(text: &str) -> Result<String, Wrong> {
    line(text)?;
    if !text.starts_with('/') {
        return Err(Wrong::new("is not absolute", "must begin with `/`"));
    }
    let path = components(text.strip_suffix('/').unwrap_or(text), 1)?;
    if path.is_empty() { Err(Wrong::new("is the root directory", "bg needs a directory of its own")) } else { Ok(path) }
}

/// A directory that stands bare in nginx's configuration.
pub(super) fn nginx_directory(text: &str) -> Result<String, Wrong> {
    let path = directory(text)?;
    nginx(limits::path(&path))?;
    Ok(path)
}

/// A path below another: as [`directory`], but relative.
pub(super) fn relative(text: &str) -> Result<String, Wrong> {
    line(text)?;
    if text.starts_with(['/', '~']) {
        return Err(Wrong::new("is not relative", "must not begin with `/` or `~`").at(0..1));
    }
    components(text.strip_suffix('/').unwrap_or(text), 0)
}

/// A directory on a host, or one below the login user's home: `~/…`.
pub(super) fn home_or_directory(text: &str) -> Result<String, Wrong> {
    match text.strip_prefix("~/") {
        Some(below) => relative(below).map(|below| format!("~/{below}")).map_err(|wrong| wrong.shifted(2)),
        None => directory(text),
    }
}

/// Checks the characters of a path and its components from byte `from` on.
fn components(text: &str, from: usize) -> Result<String, Wrong> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._/@+-".contains(c);
    only(text, "a path that bg can use everywhere", "letters, digits and `. _ / @ + -`", fits)?;
    let mut at = from;
    for component in text.get(from..).unwrap_or_default().split('/') {
        let span = at..at + component.len();
        at = span.end + 1;
        match component {
            "" if text.len() > from => return Err(Wrong::new("is not a clean path", "an empty component").at(span)),
            "." | ".." => return Err(Wrong::new("is not a clean path", "write the path without `.` and `..`").at(span)),
            _ => {}
        }
    }
    Ok(text.to_owned())
}

/// The login name for ssh.
pub(super) fn user(text: &str) -> Result<String, Wrong> {
    line(text)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "._@+-".contains(c);
    only(text, "a user name", "letters, digits and `. _ @ + -`", fits)?;
    if text.starts_with('-') {
        return Err(Wrong::new("is not a user name", "must not begin with `-`").at(0..1));
    }
    Ok(text.to_owned())
}

/// A path on the operator's machine: anything on one line.
pub(super) fn own_path(text: &str) -> Result<String, Wrong> {
    line(text)
}

/// The path of a request: begins with `/`, printable ASCII without spaces.
pub(super) fn request_path(text: &str) -> Result<String, Wrong> {
    line(text)?;
    if !text.starts_with('/') {
        return Err(Wrong::new("is not a request's path", "must begin with `/`"));
    }
    only(text, "a request's path", "printable ASCII; write the rest as %XX", |c| c.is_ascii_graphic() && c != '#')?;
    Ok(text.to_owned())
}

/// The name of a request header: `[A-Za-z0-9_-]+`.
pub(super) fn header_name(text: &str) -> Result<String, Wrong> {
    line(text)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    only(text, "a header's name", "letters, digits, `-` and `_`", fits)?;
    Ok(text.to_owned())
}

/// The name of a request header that nginx reads as `$http_NAME`, in lower case.
pub(super) fn nginx_header_name(text: &str) -> Result<String, Wrong> {
    let name = header_name(text)?;
    nginx(limits::header_name(&name))?;
    Ok(name.to_ascii_lowercase())
}

/// The name of a cookie that nginx can read as `$cookie_NAME`: `[A-Za-z0-9_]+`.
pub(super) fn cookie_name(text: &str) -> Result<String, Wrong> {
    line(text)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    only(
        text,
        "a cookie's name that nginx can read",
        "letters, digits and `_`, as in nginx's variable `$cookie_NAME`",
        fits,
    )?;
    nginx(limits::cookie_name(text))?;
    Ok(text.to_owned())
}

/// A header's value: printable ASCII and spaces.
pub(super) fn header_value(text: &str) -> Result<String, Wrong> {
    line(text)?;
    only(text, "a header's value", "printable ASCII", |c| c == ' ' || c.is_ascii_graphic())?;
    Ok(text.to_owned())
}

/// The Host header: a host, with a port if need be.
pub(super) fn host_header(text: &str) -> Result<String, Wrong> {
    line(text)?;
    only(text, "a Host header", "letters, digits, `.`, `_`, `-`, and a port", |c| {
        is_host_char(c) || "[]:".contains(c)
    })?;
    Ok(text.to_owned())
}

/// A duration such as `30s`, within bounds, in milliseconds.
pub(super) fn duration(least_ms: u64, most_ms: u64) -> impl Fn(&str) -> Result<u64, Wrong> {
    move |text| {
        let units: [(&str, u64); 4] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let unit = units.iter().find(|(unit, _)| *unit == &text[digits..]).map(|(_, ms)| *ms);
        let Some(unit) = unit.filter(|_| digits > 0) else {
            return Err(Wrong::new("is not a duration", "a number and a unit: ms, s, m or h").help("such as \"30s\""));
        };
        let ms = text[..digits].parse::<u64>().ok().and_then(|number| number.checked_mul(unit));
        ms.filter(|ms| (least_ms..=most_ms).contains(ms)).ok_or_else(|| {
            Wrong::new("is out of range", format!("from {} to {}", spoken_duration(least_ms), spoken_duration(most_ms)))
        })
    }
}

/// A duration such as `90s` or `10m` as it is given on the command line, in milliseconds.
///
/// # Errors
/// Says what is wrong: no number with a unit, or outside of the bounds.
pub fn parse_duration(text: &str, least_ms: u64, most_ms: u64) -> Result<u64, String> {
    duration(least_ms, most_ms)(text).map_err(|wrong| wrong.of(text))
}

/// A duration in the largest unit that is exact: `90s`, `10m`.
pub fn spoken_duration(ms: u64) -> String {
    let units = [("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    match units.iter().find(|(_, unit)| ms >= *unit && ms.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", ms / unit),
        None => format!("{ms}ms"),
    }
}

/// Status codes and ranges of them: `200-299`, `200, 204, 300-399`.
pub(super) fn status(text: &str) -> Result<Vec<(u16, u16)>, Wrong> {
    let code = |text: &str| text.trim().parse::<u16>().ok().filter(|code| (100..=599).contains(code));
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((code(first)?, code(last)?))
    };
    let wrong =
        |label: &str| Wrong::new("is not a range of status codes", label).help("such as \"200-299\" or \"200, 204\"");
    let ranges = text.split(',').map(range).collect::<Option<Vec<_>>>();
    let ranges = ranges.ok_or_else(|| wrong("status codes are from 100 to 599"))?;
    match ranges.iter().find(|(first, last)| first > last) {
        Some((first, last)) => Err(wrong(&format!("{first} is greater than {last}"))),
        None => Ok(ranges),
    }
}

/// nginx's expression for `hash`: `[A-Za-z0-9_$|:.-]+` with at least one variable, each `$` before a name.
pub(super) fn hash_key(text: &str) -> Result<String, Wrong> {
    line(text)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "_$|:.-".contains(c);
    only(text, "a key that nginx can hash", "letters, digits and `_ $ | : . -`", fits)?;
    if !text.contains('$') {
        return Err(Wrong::new("is not a key that nginx can hash", "needs a variable such as `$request_uri`"));
    }
    nginx(limits::hash_key(text))?;
    Ok(text.to_owned())
}
