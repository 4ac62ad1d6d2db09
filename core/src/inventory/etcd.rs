//! A journal in etcd: where it is, and how bg shows who it is there.

use super::reader::{Table, Value, Wrong};
use super::scalar;
use super::types::{EtcdAccess, EtcdLocation, JournalLocation};

/// A cluster has three or five members, seldom seven; more is taken for a slip.
const MAX_ENDPOINTS: usize = 9;
/// Keys are short names; etcd itself would take more.
const MAX_PREFIX: usize = 200;

const EXAMPLE: &str = "such as \"etcd:http://e1:2379,http://e2:2379,http://e3:2379/bg/shop\"";

/// What stands behind `etcd:`. Places in what is wrong count from there.
pub(super) fn location(text: &str) -> Result<EtcdLocation, Wrong> {
    let mut endpoints: Vec<String> = Vec::new();
    let mut at = 0;
    let mut rest = text;
    loop {
        let scheme = scheme(rest).map_err(|wrong| wrong.within(at, rest))?;
        let behind = &rest[scheme.len()..];
        let length = behind.find([',', '/']).unwrap_or(behind.len());
        let place = at + scheme.len();
        host_and_port(&behind[..length]).map_err(|wrong| wrong.within(place, &behind[..length]))?;
        let endpoint = format!("{scheme}{}", behind[..length].to_ascii_lowercase());
        let whole = at..place + length;
        if endpoints.contains(&endpoint) {
            return Err(Wrong::new("names an endpoint twice", "this one stands before it already").at(whole));
        }
        if endpoints.first().is_some_and(|first| !first.starts_with(scheme)) {
            return Err(
                Wrong::new("mixes http and https", "all endpoints are `http://`, or all are `https://`").at(whole)
            );
        }
        endpoints.push(endpoint);
        if endpoints.len() > MAX_ENDPOINTS {
            return Err(Wrong::new("names too many endpoints", format!("at most {MAX_ENDPOINTS}")).at(whole));
        }
        let Some(next) = behind[length..].strip_prefix(',') else {
            let begin = place + length;
            let prefix = prefix(&behind[length..]).map_err(|wrong| wrong.within(begin, &behind[length..]))?;
            return Ok(EtcdLocation { endpoints, prefix, access: EtcdAccess::default() });
        };
        at = place + length + 1;
        rest = next;
    }
}

fn scheme(text: &str) -> Result<&'static str, Wrong> {
    let found = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme));
    found.ok_or_else(|| {
        let end = text.find(',').unwrap_or(text.len());
        Wrong::new("is not a list of etcd's endpoints", "an endpoint begins with `http://` or `https://`")
            .help(EXAMPLE)
            .at(0..end)
    })
}

fn host_and_port(text: &str) -> Result<(), Wrong> {
    if text.contains('@') {
        return Err(Wrong::new("holds a user", "the user does not belong here")
            .help("put `user` and `password_file` into `[etcd]`"));
    }
    let missing = || Wrong::new("has an endpoint without a port", "the port is missing").help("etcd's is usually 2379");
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => return Err(missing()),
    };
    let bare = host.strip_prefix('[').and_then(|inside| inside.strip_suffix(']'));
    match bare {
        Some(inside) if inside.parse::<std::net::Ipv6Addr>().is_ok() => {}
        Some(_) => return Err(Wrong::new("is not an IPv6 address", "this is in brackets").at(0..host.len())),
        None if host.contains(':') => {
            let label = "an IPv6 address stands in brackets here";
            return Err(Wrong::new("is not an endpoint", label).at(0..host.len()));
        }
        None if host.is_empty() => return Err(Wrong::new("has an endpoint without a host", "the host is missing")),
        None => scalar::host(host).map(drop)?,
    }
    let number = port.parse::<u16>().ok().filter(|number| *number > 0 && port.bytes().all(|b| b.is_ascii_digit()));
    let behind = host.len() + 1..text.len();
    number.map(drop).ok_or_else(|| match port {
        "" => missing(),
        _ => Wrong::new("has a wrong port", "from 1 to 65535").at(behind),
    })
}

/// `/bg/shop`: what every key begins with.
fn prefix(text: &str) -> Result<String, Wrong> {
    if text.is_empty() || text == "/" {
        return Err(Wrong::new("names no prefix", "a prefix for the keys belongs behind the endpoints")
            .help(EXAMPLE)
            .whole());
    }
    if text.contains(',') && text.contains("://") {
        return Err(
            Wrong::new("has a prefix in the middle", "the prefix stands once, behind the last endpoint").help(EXAMPLE)
        );
    }
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    if let Some((at, c)) = text.char_indices().find(|(_, c)| !fits(*c)) {
        return Err(Wrong::new("has a wrong prefix", "this character is not allowed")
            .help("only letters, digits, `.`, `_`, `-`, with `/` between them")
            .at(at..at + c.len_utf8()));
    }
    if text[1..].split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(Wrong::new("has a wrong prefix", "between the `/` there are names").help(EXAMPLE));
    }
    if text.len() > MAX_PREFIX {
        return Err(Wrong::new("has a prefix that is too long", format!("at most {MAX_PREFIX} characters")));
    }
    Ok(text.to_owned())
}

/// `[etcd]`, into the journal's location; `None`: that was reported as wrong already.
pub(super) fn access(file: &Table<'_>, journal: Option<&mut JournalLocation>) {
    let Some(value) = file.get("etcd") else { return };
    let Some(table) = value.table() else { return };
    let access = keys(&table);
    match journal {
        Some(JournalLocation::Etcd(location)) => {
            if location.endpoints[0].starts_with("http://") {
                for key in ["ca", "cert", "key"].into_iter().filter_map(|key| table.get(key)) {
                    let help = "write `https://` in `[site] journal`, or take it away";
                    key.wrong_key(Wrong::new("does nothing", "the endpoints are `http://`").help(help));
                }
            }
            location.access = access;
        }
        Some(_) => {
            let help = "say `journal = \"etcd:…\"` in `[site]`, or take this table away";
            table.wrong(Wrong::new("does nothing", "the journal is not in etcd").help(help));
        }
        None => {}
    }
    table.finish("etcd");
}

fn keys(table: &Table<'_>) -> EtcdAccess {
    let path = |key| table.get(key).and_then(|value: Value<'_>| value.string(scalar::own_path));
    let access = EtcdAccess {
        ca: path("ca"),
        cert: path("cert"),
        key: path("key"),
        user: table.get("user").and_then(|value| value.string(scalar::line)),
        password_file: path("password_file"),
    };
    for (one, other, example) in [
        ("cert", "key", "`key = \"etcd/client.key\"`"),
        ("key", "cert", "`cert = \"etcd/client.pem\"`"),
        ("user", "password_file", "`password_file = \"etcd/password\"`"),
        ("password_file", "user", "`user = \"bg\"`"),
    ] {
        if table.get(one).is_some() {
            table.require(other, example);
        }
    }
    access
}
