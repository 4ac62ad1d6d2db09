//! `[site] journal`: where the journal is.

use super::etcd;
use super::reader::Wrong;
use super::scalar;
use super::types::JournalLocation;

/// `file:DIRECTORY`, `ssh:HOST:/DIRECTORY` or `etcd:ENDPOINT,…/PREFIX`.
pub(super) fn location(text: &str) -> Result<JournalLocation, Wrong> {
    let text = scalar::line(text)?;
    match text.split_once(':') {
        Some(("file", path)) if !path.trim().is_empty() => Ok(JournalLocation::File(path.to_owned())),
        Some(("file", _)) => Err(Wrong::new("names no directory", "a path belongs behind `file:`")),
        Some((scheme @ "ssh", rest)) => ssh(rest).map_err(|wrong| wrong.shifted(scheme.len() + 1)),
        Some((scheme @ "etcd", rest)) => etcd::location(rest)
            .map(|etcd| JournalLocation::Etcd(Box::new(etcd)))
            .map_err(|wrong| wrong.shifted(scheme.len() + 1)),
        _ => Err(Wrong::new("is not a known kind of journal", "must be `file:`, `ssh:` or `etcd:`")
            .help("such as \"file:.bg/production\" or \"ssh:lb1:/var/lib/bg/shop\"")),
    }
}

/// `HOST:/DIRECTORY`; an IPv6 address holds colons of its own. A path below the home would be another journal for every
/// login user.
fn ssh(rest: &str) -> Result<JournalLocation, Wrong> {
    let Some((host, _)) = rest.split_once(":/") else {
        return Err(Wrong::new("names no host and directory", "must be `ssh:HOST:/DIRECTORY`")
            .help("such as \"ssh:lb1:/var/lib/bg/shop\""));
    };
    let path = &rest[host.len() + 1..];
    Ok(JournalLocation::Ssh {
        path: scalar::directory(path).map_err(|wrong| wrong.shifted(host.len() + 1))?,
        host: scalar::host(host)?,
    })
}
