//! What nginx cannot hold, asked while the inventory is checked, so that it is an error there with file and line and not a
//! failed `nginx -t` on a balancer.

use super::quote::{self, QuoteError};

/// The longest name of a variable: `variables_hash_bucket_size` is 64 by default (measured: 1.22.1).
pub const VARIABLE_MAX: usize = 46;

/// First words of nginx's own variables: `$http_web` would be a request header, `$server_name` is taken.
const TAKEN_SITES: &[&str] = &[
    "ancient",
    "arg",
    "binary",
    "body",
    "bytes",
    "connection",
    "connections",
    "content",
    "cookie",
    "date",
    "document",
    "fastcgi",
    "geoip",
    "geoip2",
    "gzip",
    "http",
    "invalid",
    "is",
    "jwt",
    "limit",
    "memcached",
    "modern",
    "nginx",
    "otel",
    "proxy",
    "query",
    "realip",
    "realpath",
    "remote",
    "request",
    "secure",
    "sent",
    "server",
    "slice",
    "ssl",
    "tcpinfo",
    "time",
    "uid",
    "upstream",
];

/// Why a value of the inventory cannot be carried out by nginx.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// The value cannot be written down.
    #[error(transparent)]
    Quote(#[from] QuoteError),
    /// `(?<name>…)` assigns the nginx variable of that name.
    #[error("its group `{0}` has a name, and nginx would assign the variable `${0}`: use (?:…) or (…)")]
    NamedGroup(String),
    /// It would match every request.
    #[error("it is empty and would match every request")]
    Empty,
    /// The site's name is the beginning of nginx's own variables.
    #[error("`${0}_…` are variables of nginx's own: choose another name for the site")]
    SiteTaken(String),
    /// A variable's name would not fit nginx's hash.
    #[error("nginx's variable `${name}` would be {} characters long, and {VARIABLE_MAX} fit: shorten the names", name.len())]
    NameTooLong {
        /// Without the `$`.
        name: String,
    },
    /// A header or cookie that nginx offers no variable for.
    #[error("`{0}` is no name that nginx passes on: letters, digits, `-` and `_`")]
    Header(String),
    /// No cookie can have this name.
    #[error("`{0}` is no name for a cookie: letters, digits and any of !#%&'*+.^_`|~-")]
    Cookie(String),
    /// A path that would need quoting in places where nginx has none.
    #[error("`{0}` must be absolute and hold only letters, digits and any of /._@+-")]
    Path(String),
    /// A server's address.
    #[error("`{0}` is neither a host name nor an address")]
    Address(String),
    /// The key of `hash KEY consistent`.
    #[error("`{0}` is no key to hash by: letters, digits and any of _$|:.-")]
    HashKey(String),
}

/// Whether `regex` can be the condition of a segment.
///
/// # Errors
/// When it is empty, too long for nginx (about 4 kB, backslashes and quotes counting twice), holds a control character, or
/// names a group.
pub fn regex(regex: &str) -> Result<(), LimitError> {
    if regex.is_empty() {
        return Err(LimitError::Empty);
    }
    quote::regex_key(regex)?;
    named_group(regex).map_or(Ok(()), |name| Err(LimitError::NamedGroup(name)))
}

/// The first named group of a PCRE. Textual on purpose: what only looks like one (in a class, behind a backslash) is refused
/// as well, because no shortcut through PCRE's syntax may ever let one through.
fn named_group(regex: &str) -> Option<String> {
    let name = |rest: &str| -> Option<String> {
        let rest = rest.strip_prefix('P').unwrap_or(rest);
        let name = rest.strip_prefix('<').or_else(|| rest.strip_prefix('\''))?;
        let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        (!name.is_empty()).then_some(name)
    };
    regex.split("(?").skip(1).find_map(name)
}

/// Whether a site may be called `site`, which is already `[a-z][a-z0-9]*`.
///
/// # Errors
/// When nginx has variables that begin with that word, or `bg-SITE` and the site's own variables would not fit.
pub fn site_name(site: &str) -> Result<(), LimitError> {
    if TAKEN_SITES.contains(&site) {
        return Err(LimitError::SiteTaken(site.to_owned()));
    }
    variable(format!("{site}_segment_99"))
}

/// Whether a pool may be called `pool` in `site`: `$SITE_POOL` must fit.
///
/// # Errors
/// When it does not.
pub fn pool_name(site: &str, pool: &str) -> Result<(), LimitError> {
    variable(format!("{site}_{pool}"))
}

/// Whether a segment may be called `segment` in `site`: the longest of its variables, `$SITE_net_SEGMENT_9`, must fit.
///
/// # Errors
/// When it does not.
pub fn segment_name(site: &str, segment: &str) -> Result<(), LimitError> {
    variable(format!("{site}_net_{segment}_99"))
}

fn variable(name: String) -> Result<(), LimitError> {
    if name.len() > VARIABLE_MAX { Err(LimitError::NameTooLong { name }) } else { Ok(()) }
}

/// Whether nginx has a variable for the request header `name`. (One with `_` is seen only with `underscores_in_headers on`.)
///
/// # Errors
/// When it has none.
pub fn header_name(name: &str) -> Result<(), LimitError> {
    let passes =
        !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    if passes { Ok(()) } else { Err(LimitError::Header(name.to_owned())) }
}

/// Whether a cookie can be called `name` (a token of RFC 6265 without the `$`).
///
/// # Errors
/// When it cannot.
pub fn cookie_name(name: &str) -> Result<(), LimitError> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#%&'*+.^_`|~-".contains(&b);
    let valid = !name.is_empty() && name.len() <= 128 && name.bytes().all(token);
    if valid { Ok(()) } else { Err(LimitError::Cookie(name.to_owned())) }
}

/// Whether `path` can stand bare in the configuration: inside `if (-f …)` and `include` nothing could protect it.
///
/// # Errors
/// When it is not absolute or holds another character.
pub fn path(path: &str) -> Result<(), LimitError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._@+-".contains(&b);
    let valid =
        path.starts_with('/') && path.len() <= 1024 && path.bytes().all(plain) && !path.split('/').any(|p| p == "..");
    if valid { Ok(()) } else { Err(LimitError::Path(path.to_owned())) }
}

/// Whether `address` can be the server of an upstream: a host name, an IPv4 or a bare IPv6 address.
///
/// # Errors
/// When it is none of them.
pub fn address(address: &str) -> Result<(), LimitError> {
    let host = |text: &str| {
        !text.is_empty()
            && text.len() <= 253
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
            && !text.starts_with('-')
    };
    let valid = host(address) || address.parse::<std::net::Ipv6Addr>().is_ok();
    if valid { Ok(()) } else { Err(LimitError::Address(address.to_owned())) }
}

/// Whether `key` can be hashed by: an nginx expression such as `$request_uri`.
///
/// # Errors
/// When it is empty or holds a character outside `[A-Za-z0-9_$|:.-]`.
pub fn hash_key(key: &str) -> Result<(), LimitError> {
    let valid = !key.is_empty()
        && key.len() <= 256
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_$|:.-".contains(&b))
        // A `$` that begins no name is "invalid variable name" to nginx.
        && key.split('$').skip(1).all(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'));
    if valid { Ok(()) } else { Err(LimitError::HashKey(key.to_owned())) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regex_that_nginx_cannot_hold_is_refused_with_the_reason() {
        assert!(regex("(?i)android|iphone|ipad").is_ok() && regex(r"^/a(b|c)/\d+;{}$").is_ok());
        assert_eq!(regex(""), Err(LimitError::Empty));
        let message = regex(&"x".repeat(10_000)).unwrap_err().to_string();
        assert_eq!(message, "it takes 10003 bytes in the configuration, and nginx reads at most 4095 in one word");
    }

    #[test]
    fn a_named_group_would_assign_a_variable() {
        assert!(regex("(?<=a)b(?<!c)(?:d)(?=e)(?i)(?>f)(?#'g)").is_ok());
        let hiding = ["(*pla:(?<shop_raw>green))", r"\c\(?<shop_raw>green)", "(?=(?'shop_raw'green))"];
        for hostile in ["(?<shop_raw>green)", "(?P<shop_raw>green)"].into_iter().chain(hiding) {
            assert_eq!(regex(hostile), Err(LimitError::NamedGroup("shop_raw".to_owned())));
        }
    }

    #[test]
    fn names_that_belong_to_nginx_or_do_not_fit_are_refused() {
        assert!(
            site_name("shop").is_ok() && pool_name("shop", "web").is_ok() && segment_name("shop", "mobile").is_ok()
        );
        assert!(["http", "server", "cookie", "upstream"].iter().all(|site| site_name(site).is_err()));
        assert!(pool_name("shop", &"w".repeat(41)).is_ok() && pool_name("shop", &"w".repeat(42)).is_err());
        assert!(segment_name("shop", &"m".repeat(32)).is_ok() && segment_name("shop", &"m".repeat(35)).is_err());
    }

    #[test]
    fn names_paths_and_addresses_hold_nothing_that_needs_quoting() {
        assert!(header_name("x-beta").is_ok() && header_name("x_beta").is_ok() && header_name("a;b").is_err());
        assert!(cookie_name("my-id.x").is_ok() && cookie_name("a b").is_err() && cookie_name("$a").is_err());
        assert!(path("/etc/nginx/bg/shop").is_ok());
        assert!(["etc", "/a b", "/a$b", "/a;b", "/a{b", "/a\"b", "/a\nb", "/a/../b"].iter().all(|p| path(p).is_err()));
        assert!(["web1", "10.0.0.1", "::1", "2001:db8::1", "a_b.example"].iter().all(|a| address(a).is_ok()));
        assert!(["", "a b", "[::1]", "a;b", "unix:/x", "a:80", "$a"].iter().all(|a| address(a).is_err()));
        assert!(hash_key("$request_uri|$host").is_ok());
        assert!(["", "$", "a b", "$a;", "${a}"].iter().all(|k| hash_key(k).is_err()));
    }
}
